import { open, readFile, stat } from "node:fs/promises";
import { FileError, FormatError, fromFile, OptionError } from "../../errors.ts";
import { booleanOption, checkKeys, checkSignal, nameOption } from "../../options.ts";
import { type WeightType, weightTypes } from "../weight-type.ts";
import { hdf5Signature, readHdf5 } from "./hdf5/file.ts";
import { findKerasWeights } from "./keras.ts";
import { findTorchWeights, type TorchSource } from "./pytorch.ts";
import { largestHeader, readSafetensors, safetensorsHeader } from "./safetensors.ts";
import { checkFound, type FoundLayer, readFound, type WantedLayer } from "./weights.ts";
import { zipEntry } from "./zip.ts";

/** Options of `Model.loadWeights`. */
export interface LoadWeightsOptions {
  /**
   * Who wrote the file: `"sconce"` (`saveWeights`), `"keras"` (`.weights.h5` or `.keras`) or `"pytorch"` (a `state_dict` as
   * safetensors); default by its content.
   */
  format?: "sconce" | "keras" | "pytorch";
  /**
   * For Keras: takes layers whose names in Python are those of the model, and leaves all others as they are; default `false`, all
   * layers in the order of the model.
   */
  byName?: boolean;
  /**
   * For PyTorch: the module of each layer, by the name of the layer; layers that are not named stay as they are. Default: each
   * layer gets the module with its name, or the only one that fits by kind and shapes.
   */
  mapping?: Readonly<Record<string, string | TorchSource>>;
  /** How matrices of a file of sconce are kept, as in `loadModel`; default `"float32"`. */
  dtype?: WeightType;
  /** Stops before anything is changed; the rejection is its reason. */
  signal?: AbortSignal;
}

const formats = ["sconce", "keras", "pytorch"] as const;

/** What a model gives to have weights loaded. */
export interface WeightTarget {
  readonly where: string;
  /** All layers in Keras' order. */
  readonly layers: readonly WantedLayer[];
}

/** What was loaded: `undefined` for a file that the engine itself reads. */
export type LoadedWeights = readonly { readonly layer: string; readonly values: readonly Float32Array[] }[];

/**
 * Reads weights that Keras or PyTorch wrote.
 *
 * @param target - The layers that want them.
 * @param path - The file.
 * @param options - Who wrote it, and which parts of it belong where.
 * @returns The weights of layers, with the shapes that these have; or `undefined` if the file is one of sconce.
 * @throws OptionError if an option is wrong or needed; FileError if the file cannot be read; FormatError if it is damaged, of an
 *   unknown kind, or holds other layers; ShapeError if weights have other shapes; the signal's reason after an abort.
 */
export async function readForeignWeights(
  target: WeightTarget,
  path: string,
  options: LoadWeightsOptions,
): Promise<LoadedWeights | undefined> {
  const { where } = target;
  checkKeys(where, options, ["format", "byName", "mapping", "dtype", "signal"]);
  checkSignal(where, options.signal);
  const byName = booleanOption(where, "byName", options.byName ?? false);
  if (options.format !== undefined) nameOption(where, "format", options.format, formats);
  const dtype = nameOption(where, "dtype", options.dtype ?? "float32", weightTypes);
  const { mapping, signal } = options;
  if (mapping !== undefined && (typeof mapping !== "object" || mapping === null || Array.isArray(mapping))) {
    throw new OptionError(`${where}: mapping must be an object from names of layers to names of modules`);
  }
  signal?.throwIfAborted();
  if (options.format === "sconce") {
    refuse(where, byName, mapping, "sconce");
    return undefined;
  }
  const start = await startOf(path);
  const kind = kindOf(`${where}: ${path}`, path, start, options);
  refuse(where, byName && kind !== "keras", kind === "pytorch" ? undefined : mapping, kind);
  if (kind === "sconce") return undefined;
  if (dtype !== "float32") {
    throw new OptionError(`${where}: dtype has no meaning for files of ${kind}: save the model and load it with dtype`);
  }
  const content = await readFile(path, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw fromFile("cannot read", path, error);
  });
  const found =
    kind === "keras"
      ? await fromKeras(target, path, content, byName)
      : findTorchWeights(`${where}: ${path}`, readSafetensors(path, content).tensors, target.layers, mapping);
  for (const part of found) checkFound(`${where}: ${path}`, part);
  const loaded: { layer: string; values: Float32Array[] }[] = [];
  for (const part of found) loaded.push({ layer: part.layer.name, values: await readFound(part, signal) });
  return loaded;
}

/** The first bytes of a file; of a safetensors file its header. */
async function startOf(path: string): Promise<Buffer> {
  const refused = (error: unknown): never => {
    throw fromFile("cannot read", path, error);
  };
  // Looked at before it is opened: a pipe without a writer would never open.
  const found = await stat(path).catch(refused);
  if (!found.isFile()) throw new FileError(`cannot read ${path}: it is not a file`);
  const file = await open(path).catch(refused);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    const { size } = found;
    if (bytesRead < 8 || isHdf5(buffer) || isZip(buffer)) return buffer.subarray(0, bytesRead);
    const header = buffer.readBigUInt64LE(0);
    if (header > largestHeader || header > size - 8) return buffer;
    const whole = Buffer.alloc(8 + Number(header));
    await file.read(whole, 0, whole.length, 0);
    return whole;
  } catch (error) {
    return refused(error);
  } finally {
    await file.close();
  }
}

const isHdf5 = (start: Buffer) => start.subarray(0, 8).equals(hdf5Signature);
const isZip = (start: Buffer) => start.subarray(0, 4).toString("latin1") === "PK\x03\x04";

/** Who wrote a file. */
function kindOf(
  where: string,
  path: string,
  start: Buffer,
  { format, mapping }: LoadWeightsOptions,
): (typeof formats)[number] {
  if (isHdf5(start) || isZip(start)) {
    if (format !== "pytorch") return "keras";
    const hint = isZip(start) ? "a file of torch.save: save the state_dict with safetensors" : "an HDF5 file";
    throw new FormatError(`${where}: this is ${hint}`);
  }
  if (format === "keras")
    throw new FormatError(`${where}: this is no file of Keras: neither HDF5 nor a .keras archive`);
  return format === "pytorch" || mapping !== undefined || isTorch(path, start) ? "pytorch" : "sconce";
}

async function fromKeras(target: WeightTarget, path: string, content: Buffer, byName: boolean): Promise<FoundLayer[]> {
  const entry = "model.weights.h5";
  const bytes = isHdf5(content) ? content : await zipEntry(path, content, entry);
  const root = readHdf5(isHdf5(content) ? path : `${path}: ${entry}`, bytes);
  return findKerasWeights(`${target.where}: ${path}`, root, target.layers, byName);
}

/** Whether a safetensors file was not written by sconce: those have a mark, and names with a slash. */
function isTorch(path: string, content: Buffer): boolean {
  const header = safetensorsHeader(path, content);
  if (header === undefined) return false;
  const { __metadata__: metadata, ...tensors } = header;
  const format: unknown = (metadata as Record<string, unknown> | null | undefined)?.format;
  if (format === "pt") return true;
  const names = Object.keys(tensors);
  return format === undefined && names.length > 0 && !names.some((name) => name.includes("/"));
}

function refuse(where: string, byName: boolean, mapping: unknown, format: string): void {
  if (byName) throw new OptionError(`${where}: byName has no meaning for files of ${format}, only for those of Keras`);
  if (mapping !== undefined) {
    throw new OptionError(`${where}: mapping has no meaning for files of ${format}, only for those of PyTorch`);
  }
}
