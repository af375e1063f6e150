import { type Initializer, missingProvider, type Provider } from "../initializers/initializer.ts";

/** What fills the weights whose initialiser is no rule, by name of the weight. */
export function providersOf(initializers: Readonly<Record<string, Initializer>>): Record<string, Provider> {
  const providers: Record<string, Provider> = {};
  for (const [weight, initializer] of Object.entries(initializers)) {
    if (initializer.type === "provided") providers[weight] = initializer.provider ?? missingProvider(weight);
  }
  return providers;
}
