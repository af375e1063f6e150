/** Options of `Model.build`. */
export interface BuildOptions {
  /** Seed of the initialisers, an integer from 0 to 2^53 - 1; default 0, so that runs can be repeated. */
  seed?: number;
  /** Cancels reading of pre-trained vectors. */
  signal?: AbortSignal;
}

/** Options of `Model.save`. */
export interface SaveOptions {
  /** Further files of the folder, by name, such as those of tokenisers. */
  extraFiles?: Readonly<Record<string, string | Uint8Array>>;
}
