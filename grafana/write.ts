import { writeFileSync } from 'node:fs';
import { dashboard } from './dashboard.js';

/* npm run dashboard: the file that Grafana is given. A test holds that it is current. */
const file = new URL('../../grafana/event-generator.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(dashboard(), null, 2)}\n`);
