/** Base of objects that are called like functions and have methods and private fields like any other. */
export abstract class Callable {
  constructor() {
    const self: { call(...inputs: unknown[]): unknown } = Object.setPrototypeOf(
      (...inputs: unknown[]) => self.call(...inputs),
      new.target.prototype,
    );
    // Own properties of functions would hide getters of the class.
    Reflect.deleteProperty(self, "name");
    Reflect.deleteProperty(self, "length");
    // biome-ignore lint/correctness/noConstructorReturn: the function is the object.
    return self as unknown as this;
  }
}
