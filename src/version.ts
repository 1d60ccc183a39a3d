/** The version of the package, as in package.json (test/package). */
export const VERSION = '0.2.0';
