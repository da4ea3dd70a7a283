/**
 * A deep copy of data, such as JSON would bring back. Texts are shared, so that long ones cost nothing; by way of JSON they are copied twice.
 *
 * @param changed - What stands in the copy for a text, or for the name of a field; null for the same.
 * @throws TypeError for what is not plain: dates, bytes, instances of classes, numbers that are not finite, `undefined` in a list. RangeError
 * for what holds itself.
 */
export function plainCopy(value: unknown, changed: ((text: string) => string) | null): unknown {
  switch (typeof value) {
    case 'string':
      return changed === null ? value : changed(value);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : refuse();
    case 'object':
      break;
    default:
      return refuse();
  }
  if (value === null) return null;
  if (Array.isArray(value)) {
    const copy = new Array<unknown>(value.length);
    for (let index = 0; index < value.length; index += 1) copy[index] = plainCopy(value[index], changed);
    return copy;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || 'toJSON' in value) return refuse();
  return changed === null ? clonedRecord(value) : changedRecord(value, changed);
}

/** A record of the same shape, which is quicker to make than one field by field. */
function clonedRecord(value: object): unknown {
  const copy: Record<string, unknown> = { ...value };
  for (const name in copy) {
    const item = copy[name];
    if (typeof item === 'string') continue;
    if (item === undefined) delete copy[name];
    // What is called `__proto__` is a field of the copy already, and so is no setter.
    else copy[name] = plainCopy(item, null);
  }
  return copy;
}

function changedRecord(value: object, changed: (text: string) => string): unknown {
  const copy: Record<string, unknown> = {};
  for (const name in value) {
    const item = (value as Record<string, unknown>)[name];
    if (item === undefined) continue;
    const inner = plainCopy(item, changed);
    if (name === '__proto__') Object.defineProperty(copy, name, { value: inner, ...plainly });
    else copy[changed(name)] = inner;
  }
  return copy;
}

const plainly = { enumerable: true, configurable: true, writable: true } as const;

function refuse(): never {
  throw new TypeError('not plain');
}
