import { OptionError } from "../errors.ts";
import type { Json } from "../graph/document.ts";

/** What a {@link Provider} fills. */
export interface ProvidedWeightRequest {
  readonly layer: string;
  readonly shape: readonly number[];
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

/** Gives the values of a weight when its layer is built. */
export type Provider = (request: ProvidedWeightRequest) => Promise<Float32Array>;

/** How the values of a weight begin. */
export class Initializer {
  /** As docs/graph.md describes it. @internal */
  readonly document: { readonly [key: string]: Json };
  /** Set if the values are not made by a rule. @internal */
  readonly provider: Provider | undefined;

  /** @internal */
  constructor(document: { readonly [key: string]: Json }, provider?: Provider) {
    this.document = Object.freeze(document);
    this.provider = provider;
  }

  /** What kind of initialiser it is, such as `"glorotUniform"`. */
  get type(): string {
    return String(this.document.type);
  }
}

/** Values that a caller provides when weights are built or loaded. */
export const provided = new Initializer({ type: "provided" });

/** A provider for weights whose values were to be loaded: in a model that was not. */
export function missingProvider(option: string): Provider {
  return ({ layer }) =>
    Promise.reject(
      new OptionError(`layer ${layer}: ${option} says that its values are provided: load or set the weights first`),
    );
}
