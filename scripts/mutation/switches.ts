/** The two questions that an instrumented source asks, as globals of the process; which mutant is on, and which were come past. */
interface Switches {
  /** Id of the mutant that is on, -1 for none. */
  active: number;
  readonly reached: Set<number>;
}

export const switches: Switches = { active: -1, reached: new Set() };

Object.assign(globalThis, {
  __isActive(id: number): boolean {
    switches.reached.add(id);
    return switches.active === id;
  },
  __turn(id: number, value: unknown): unknown {
    switches.reached.add(id);
    return switches.active === id ? !value : value;
  },
});
