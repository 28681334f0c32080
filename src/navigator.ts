/*
 * pg asks at its start whether it runs at Cloudflare. Where there is no navigator (before Node.js 21) it makes a Response to
 * find out, which loads all of fetch: 35–60 ms and 10 MB in every thread. To be imported before pg.
 */
const scope = globalThis as { navigator?: { readonly userAgent: string } };
scope.navigator ??= { userAgent: `Node.js/${process.versions.node}` };
