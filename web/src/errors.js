// An error that a reader can act on: it names what cannot be used, the rule that it breaks, and what to do.
// The sentences are those of the Python package.

export class LggError extends Error {}
