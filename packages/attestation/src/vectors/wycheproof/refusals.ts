/** A refusal by a rule of this product that is stricter than the standard behind a test. Its message names the rule. */
export class StricterRule extends Error {}

/** What a test is about cannot be tried here, because node:crypto lacks it. Its message says what is lacking. */
export class NotAvailable extends Error {}
