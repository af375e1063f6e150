import type { Layer } from "../layers/layer.ts";

/** A call of a layer that is made of other layers: its nodes belong together. */
export interface Scope {
  readonly layer: Layer;
}

let current: Scope | undefined;

/** The call that nodes which are made now belong to: the outermost one. */
export function currentScope(): Scope | undefined {
  return current;
}

/** Runs `work`, whose nodes belong to `scope`, unless they belong to a call around it. */
export function within<T>(scope: Scope | undefined, work: () => T): T {
  const before = current;
  current ??= scope;
  try {
    return work();
  } finally {
    current = before;
  }
}
