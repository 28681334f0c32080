/* Apart from the schema: worker threads connect, and do without the library that checks files. */

/** Which of several servers is meant, as libpq has it. */
export const TARGET_SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby'] as const;

/** How a connection is encrypted, and what is checked of the server, as libpq has it. */
export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
