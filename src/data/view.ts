import { StateError } from "../errors.ts";

/** The items of one epoch, by index. */
export interface View<T> {
  /** Count of items; infinite for data that are repeated without end. */
  length: number;
  at(index: number): T | Promise<T>;
}

/**
 * The view, if all its items can be run through.
 *
 * @throws StateError if it has no end.
 */
export function finite<T>(where: string, view: View<T>): View<T> {
  if (view.length !== Number.POSITIVE_INFINITY) return view;
  throw new StateError(`${where}: the data are repeated without end; call ${where} before repeat, or take after it`);
}
