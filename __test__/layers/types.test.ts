/** Mistakes that the compiler finds; `tsc` fails if one of the marked lines is right. */
import test from "ava";
import { input, layers, OptionError, type SymbolicTensor } from "../../src/index.ts";

const x = input({ shape: [null, 3] });
const state = input({ shape: [2] });

test("a misspelt option is a type error, and an OptionError at run time", (t) => {
  const wrong = {
    instanceOf: OptionError,
    message: /unknown option "(return_state|unit|mask_zero|rates|axes|shapes)"/,
  };
  // @ts-expect-error returnState is misspelt.
  t.throws(() => layers.lstm({ units: 2, return_state: true }), wrong);
  // @ts-expect-error units is misspelt.
  t.throws(() => layers.dense({ unit: 2 }), wrong);
  // @ts-expect-error maskZero is misspelt.
  t.throws(() => layers.embedding({ inputDim: 2, outputDim: 2, mask_zero: true }), wrong);
  // @ts-expect-error rate is misspelt.
  t.throws(() => layers.dropout({ rates: 0.1 }), wrong);
  // @ts-expect-error axis is misspelt.
  t.throws(() => layers.concatenate({ axes: 1 }), wrong);
  // @ts-expect-error shape is misspelt.
  t.throws(() => input({ shapes: [1] }), wrong);
});

test("a wrong number of states is a type error, and an OptionError at run time", (t) => {
  const lstm = layers.lstm({ units: 2 });
  const wrong = {
    instanceOf: OptionError,
    message: /layer lstm\d*: initialState must be a list of 2 tensors \[h, c\]/,
  };
  // @ts-expect-error c is missing.
  t.throws(() => lstm(x, { initialState: [state] }), wrong);
  // @ts-expect-error there are two states.
  t.throws(() => lstm(x, { initialState: [state, state, state] }), wrong);
  // @ts-expect-error the states come as a list.
  t.throws(() => lstm(x, { initialState: state }), wrong);
  // @ts-expect-error the option is misspelt.
  t.throws(() => lstm(x, { initialStates: [state, state] }), { instanceOf: OptionError });
});

test("returnState decides the type of the result", (t) => {
  const single: SymbolicTensor = layers.lstm({ units: 2 })(x);
  const explicit: SymbolicTensor = layers.lstm({ units: 2, returnState: false })(x);
  const [y, h, c]: [SymbolicTensor, SymbolicTensor, SymbolicTensor] = layers.lstm({ units: 2, returnState: true })(x);
  t.deepEqual(
    [single, explicit, y, h, c].map((tensor) => tensor.shape),
    Array(5).fill([null, 2]),
  );

  // @ts-expect-error there is no list without returnState.
  t.throws(() => layers.lstm({ units: 2 })(x)[0].shape, { instanceOf: TypeError });
  // @ts-expect-error there is a list with returnState.
  t.is(layers.lstm({ units: 2, returnState: true })(x).shape, undefined);

  const flag: boolean = Math.random() >= 0;
  const either = layers.lstm({ units: 2, returnState: flag })(x);
  // @ts-expect-error a boolean that is not known gives a union.
  t.is(either.shape, undefined);
  t.true(Array.isArray(either));
});

test("layers are called with what they take", (t) => {
  const dense = layers.dense({ units: 2 });
  // @ts-expect-error data are no tensor.
  t.throws(() => dense([[1, 2, 3]]), { instanceOf: OptionError, message: /layer dense\d*: input 0 must be a tensor/ });
  // @ts-expect-error merge layers take one list.
  t.throws(() => layers.add()(x, x), { instanceOf: OptionError, message: /expected one list of tensors/ });
  // @ts-expect-error there is no such activation.
  t.throws(() => layers.dense({ units: 2, activation: "softmin" }), { instanceOf: OptionError, message: /softmax/ });
  // @ts-expect-error softmax is no activation of gates.
  t.throws(() => layers.lstm({ units: 2, activation: "softmax" }), { instanceOf: OptionError });
});
