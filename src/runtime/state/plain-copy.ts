/**
 * A deep copy of data, such as JSON would bring back. Texts are shared, so that long ones cost nothing; by way of JSON they are copied twice.
 *
 * @param changed - What stands in the copy for a text, or for the name of a field.
 * @throws TypeError for what is not plain: dates, bytes, instances of classes, numbers that are not finite, `undefined` in a list, a field
 * named `__proto__`. RangeError for what holds itself.
 */
export function plainCopy(value: unknown, changed: (text: string) => string): unknown {
  switch (typeof value) {
    case 'string':
      return changed(value);
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
  const copy: Record<string, unknown> = {};
  for (const name in value) {
    const item = (value as Record<string, unknown>)[name];
    if (item === undefined) continue;
    if (name === '__proto__') return refuse();
    copy[changed(name)] = plainCopy(item, changed);
  }
  return copy;
}

function refuse(): never {
  throw new TypeError('not plain');
}
