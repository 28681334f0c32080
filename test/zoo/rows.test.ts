import { CHECKS } from './checks.js';
import { COLUMNS } from './columns.js';
import { everyOperation } from './every-operation.js';

everyOperation([...CHECKS, ...COLUMNS]);
