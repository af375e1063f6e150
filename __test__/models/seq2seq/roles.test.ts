import test from "ava";
import { GraphError, OptionError } from "../../../src/errors.ts";
import { type Border, findRoles, type RoleOptions } from "../../../src/models/seq2seq/roles.ts";

const sizes = { source: 7, target: 9 };
const ids = (name: string, time: string | number) => ({ name, shape: ["batch", time], dtype: "int32" as const });
const vectors = (name: string, time: string | number, size: number) => ({
  name,
  shape: ["batch", time, size],
  dtype: "float32" as const,
});
const textbook: Border = {
  inputs: [ids("source", "s"), ids("target", "t")],
  outputs: [{ ...vectors("dense", "t", 9), masked: true }],
};
const never = () => {
  throw new Error("the graph need not be asked");
};

function find(border: Border, options: RoleOptions = {}, isCausal: (input: number) => boolean = never) {
  return findRoles(border, options, sizes, isCausal);
}

test("the decoder's input is the one with the output's time, in whatever place", (t) => {
  const roles = { output: 0, sourceFeed: "ids", feed: "ids", masked: true };
  t.deepEqual(find(textbook), { encoderInput: 0, decoderInput: 1, ...roles } as ReturnType<typeof find>);
  const swapped = { ...textbook, inputs: [...textbook.inputs].reverse() };
  t.deepEqual(find(swapped), { encoderInput: 1, decoderInput: 0, ...roles } as ReturnType<typeof find>);
});

test("one-hot inputs are known by type and size", (t) => {
  const border = {
    inputs: [vectors("source", "s", 7), vectors("target", "t", 9)],
    outputs: [vectors("dense", "t", 9)],
  };
  t.like(find(border), { sourceFeed: "oneHot", feed: "oneHot", masked: false });
  t.like(find(border, { feed: "oneHot" }), { feed: "oneHot" });
  t.throws(() => find(border, { feed: "ids" }), { instanceOf: OptionError, message: /feed is ids.*takes oneHot/ });
  t.throws(() => findRoles(border, {}, { source: 8, target: 9 }, never), {
    instanceOf: GraphError,
    message: /encoder's input.*8 tokens of the source.*source float32 \[batch, s, 7\]/,
  });
});

test("where times have equal names the graph decides, and what it cannot decide is an error", (t) => {
  const border: Border = { inputs: [ids("a", 20), ids("b", 20)], outputs: [vectors("dense", 20, 9)] };
  t.like(
    find(border, {}, (input) => input === 0),
    { decoderInput: 0, encoderInput: 1 },
  );
  t.throws(() => find(border, {}, () => true), { instanceOf: GraphError, message: /both inputs.*option decoderInput/ });
  t.throws(() => find(border, {}, () => false), {
    instanceOf: GraphError,
    message: /neither input.*option decoderInput/,
  });
  t.like(find(border, { decoderInput: "b" }), { decoderInput: 1, encoderInput: 0 });
  t.like(find(border, { encoderInput: 1 }), { decoderInput: 0, encoderInput: 1 });
});

test("the output is the one of the target vocabulary's size", (t) => {
  const outputs = [vectors("states", "t", 4), vectors("dense", "t", 9)];
  t.is(find({ ...textbook, outputs }).output, 1);
  const twice = [vectors("first", "t", 9), vectors("second", "t", 9)];
  t.throws(() => find({ ...textbook, outputs: twice }), { instanceOf: GraphError, message: /0 and 1.*option output/ });
  t.is(find({ ...textbook, outputs: twice }, { output: "second" }).output, 1);
  t.throws(() => find({ ...textbook, outputs: [outputs[0]!] }), {
    instanceOf: GraphError,
    message: /no output is \[batch, time, 9\].*states float32 \[batch, t, 4\]/,
  });
  t.throws(() => find({ ...textbook, outputs }, { output: 0 }), { instanceOf: OptionError, message: /states/ });
});

test("choices that do not exist or exclude each other are errors that list what there is", (t) => {
  t.throws(() => find(textbook, { decoderInput: "x" }), { instanceOf: OptionError, message: /"x" is none of source/ });
  t.throws(() => find(textbook, { decoderInput: 2 }), { instanceOf: OptionError });
  t.throws(() => find(textbook, { encoderInput: 0, decoderInput: "source" }), {
    instanceOf: OptionError,
    message: /are both source/,
  });
  const same = { ...textbook, inputs: [ids("a", "s"), ids("a", "t")] };
  t.throws(() => find(same, { decoderInput: "a" }), { instanceOf: OptionError, message: /more than one/ });
  t.throws(() => find({ ...textbook, inputs: [ids("a", "t")] }), { instanceOf: GraphError, message: /2 inputs/ });
});
