/**
 * The version of this package: nodes of a fleet tell it to each other.
 */

/** As in package.json; test/base/version.test.ts compares. */
export const VERSION = '0.1.0'
