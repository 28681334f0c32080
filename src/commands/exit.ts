/** Exit codes, as users and scripts know them. */
export const EXIT = { finished: 0, setup: 1, endedEarly: 2, outage: 3, threshold: 4 } as const;
