import { OptionError } from "../errors.ts";
import type { SymbolicTensor } from "../graph/tensor.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { Layer } from "./layer.ts";
import { providersOf } from "./providers.ts";
import type { WeightRuleDocuments } from "./weight-rules.ts";

/** What names a weight within a model: the layer that it belongs to. */
export interface WeightOwner {
  readonly name: string;
  readonly hasGivenName: boolean;
  /** The name within a model; `taken` says whether a weight of this layer would have the name of another layer then. */
  prefixIn(taken: (name: string) => boolean): string;
}

/** A weight as a tensor without a batch. @internal */
export class WeightLayer extends Layer {
  readonly #owner: WeightOwner | undefined;
  readonly #key: string;

  /** @internal */
  constructor(
    name: string,
    shape: readonly number[],
    initializer: Initializer,
    trainable: boolean,
    rules: WeightRuleDocuments = {},
    owner?: WeightOwner,
    key = "",
  ) {
    super({
      type: "weight",
      common: { name, trainable },
      options: { shape, initializer: initializer.document, ...rules },
      providers: providersOf({ value: initializer }),
    });
    this.#owner = owner;
    this.#key = key;
  }

  /** @internal */
  call(): SymbolicTensor {
    throw new OptionError(`layer ${this.name}: a weight is not called`);
  }

  override get name(): string {
    return this.#owner === undefined ? super.name : `${this.#owner.name}.${this.#key}`;
  }

  /** @internal */
  override get hasFixedName(): boolean {
    return this.#owner?.hasGivenName ?? super.hasFixedName;
  }

  /** @internal */
  override nameIn(taken: (name: string) => boolean): string {
    if (this.#owner === undefined) return super.nameIn(taken);
    return `${this.#owner.prefixIn((name) => taken(`${name}.${this.#key}`))}.${this.#key}`;
  }
}
