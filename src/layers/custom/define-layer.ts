import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import { checkKeys } from "../../options.ts";
import { checkName, commonOptions, type Layer, type LayerOptions } from "../layer.ts";
import { type Behaviour, CustomLayer, type MaybeMask } from "./custom-layer.ts";
import type { BuiltParts, LayerParts } from "./parts.ts";

/** What a layer of {@link defineLayer} is called with: a tensor, or a list of them. */
export type LayerInputs = SymbolicTensor | readonly SymbolicTensor[];

/** A mask for each input. */
export type InputMasks<Inputs> = Inputs extends SymbolicTensor
  ? SymbolicTensor | undefined
  : readonly (SymbolicTensor | undefined)[];

/** What `call` of a {@link LayerDefinition} is told besides inputs and weights. */
export interface CallContext<Options, Inputs> {
  /** The options of the layer. */
  readonly options: Readonly<Options>;
  /** 1 in training, 0 otherwise: a tensor without axes, for `ops.where`. */
  readonly training: SymbolicTensor;
  /** The mask of the input as floats, 1 where a position counts; `undefined` without one; a list for a list of inputs. */
  readonly mask: InputMasks<Inputs>;
}

/** What {@link defineLayer} makes a layer of. */
export interface LayerDefinition<
  Options extends object,
  Parts extends LayerParts,
  Inputs extends LayerInputs,
  Outputs extends LayerInputs,
> {
  /** What kind of layer it is, such as `"attention"`; layers without a name are called by it. */
  name: string;
  /** The options with their defaults; default none. */
  options?: Options;
  /**
   * Weights, made by `weight`, and layers that `call` uses. Called once, when the layer is called first.
   *
   * @param shapes - Sizes of the inputs, the batch first; `null` where a size is unknown.
   */
  build?(shapes: readonly (readonly (number | null)[])[], options: Readonly<Options>): Parts;
  /** What the layer computes, by `ops` and layers. Called each time that the layer is called. */
  call(inputs: Inputs, parts: BuiltParts<Parts>, context: CallContext<Options, Inputs>): Outputs;
  /** The mask of the output, or one for each: floats of its shape without the last axis. Without it masks end here. */
  computeMask?(inputs: Inputs, mask: InputMasks<Inputs>): MaybeMask | readonly MaybeMask[];
}

/** A layer that {@link defineLayer} defines. */
export interface DefinedLayer<Inputs extends LayerInputs, Outputs extends LayerInputs> extends Layer {
  /** @param inputs - What its definition takes. */
  (inputs: Inputs): Outputs;
}

/**
 * An own kind of layer. In a graph it is its operations and weights, so that a saved model is loaded without the definition.
 * Its weights are named after it: `attention.query`.
 *
 * @param definition - What it computes, of which weights.
 * @returns A factory of layers, which takes options and a name. It throws `OptionError` for unknown options.
 * @throws OptionError if a part of the definition is missing or unknown.
 *
 * @example
 * ```ts
 * import { defineLayer, input, ops, weight } from "sconce";
 *
 * const project = defineLayer({
 *   name: "project",
 *   options: { units: 4 },
 *   build: ([shape], { units }) => ({ kernel: weight([shape!.at(-1)!, units]) }),
 *   call: (x, { kernel }) => ops.relu(ops.matmul(x, kernel)),
 * });
 * const y = project({ units: 8 })(input({ shape: [null, 3] }));
 * ```
 */
export function defineLayer<
  Options extends object = Record<never, never>,
  Parts extends LayerParts = Record<never, never>,
  Inputs extends LayerInputs = SymbolicTensor,
  Outputs extends LayerInputs = SymbolicTensor,
>(
  definition: LayerDefinition<Options, Parts, Inputs, Outputs>,
): (options?: Partial<Options> & LayerOptions) => DefinedLayer<Inputs, Outputs> {
  checkKeys("defineLayer", definition, ["name", "options", "build", "call", "computeMask"]);
  const { build, call, computeMask } = definition;
  const type = checkName("defineLayer", definition.name);
  for (const [key, part] of Object.entries({ call, build: build ?? call, computeMask: computeMask ?? call })) {
    if (typeof part !== "function") throw new OptionError(`defineLayer: ${key} of ${type} must be a function`);
  }
  const defaults = definition.options ?? ({} as Options);
  return (given = {} as Partial<Options> & LayerOptions) => {
    checkKeys(type, given, [...commonOptions, ...Object.keys(defaults)]);
    const { name, trainable, activityRegularizer, ...own } = given;
    if (activityRegularizer !== undefined && activityRegularizer !== null) {
      throw new OptionError(`${type}: give activityRegularizer to a layer that follows, such as activation "linear"`);
    }
    const options = Object.freeze({ ...defaults, ...own }) as Readonly<Options>;
    // Whether the layer is called with a list is known when it is called.
    let listed = false;
    const shaped = <T>(list: readonly T[]): T | readonly T[] => (listed ? list : list[0]!);
    const behaviour: Behaviour = {
      name: type,
      build: (shapes) => build?.call(definition, shapes, options) ?? {},
      call: (inputs, parts, context) =>
        call.call(definition, shaped(inputs) as Inputs, parts as BuiltParts<Parts>, {
          options,
          mask: shaped(context.masks) as InputMasks<Inputs>,
          get training() {
            return context.training;
          },
        }),
      ...(computeMask !== undefined && {
        computeMask: (inputs, masks) =>
          computeMask.call(definition, shaped(inputs) as Inputs, shaped(masks) as InputMasks<Inputs>),
      }),
    };
    const common = { ...(name !== undefined && { name }), ...(trainable !== undefined && { trainable }) };
    const layer = new (class extends CustomLayer {
      override call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
        if (inputs.length !== 1) throw new OptionError(`layer ${this.name}: expected a tensor or a list of tensors`);
        listed = Array.isArray(inputs[0]);
        return super.call(...inputs);
      }
    })(behaviour, common);
    return layer as unknown as DefinedLayer<Inputs, Outputs>;
  };
}
