/** A refusal by a rule of this product that is stricter than the standard behind a test. Its message names the rule. */
export class StricterRule extends Error {}
