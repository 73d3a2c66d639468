/** How many things of a list are given at once, unless the request says how many, and at most. */
export const LIST_DEFAULT = 100;
export const LIST_MOST = 1000;
