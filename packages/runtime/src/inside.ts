/** Whether a path is `parent` or below it. Both are absolute, without links, dots and slashes at the end. */
export const isInside = (path: string, parent: string): boolean => path === parent || path.startsWith(`${parent === "/" ? "" : parent}/`);
