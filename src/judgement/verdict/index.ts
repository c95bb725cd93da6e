/** From figures and tests to what a report says first: facts, rules, and a verdict as data. Knows no pages. */
export { type Facts, factsOf, type MethodFacts } from './facts.ts';
export { type OverallVerdict, overall } from './overall.ts';
export {
  cautions,
  decide,
  percent,
  type Rule,
  registerRule,
  ruleList,
  type Verdict,
  wordOf,
} from './rules.ts';
