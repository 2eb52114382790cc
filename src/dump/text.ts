const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** A number of bytes for people: `1.2 MB`. */
export function bytesText(bytes: number): string {
  let power = 0;
  let value = bytes;
  // 999.95 would be shown as 1000.0.
  while (value >= (power === 0 ? 1000 : 999.95) && power < units.length - 1) {
    value /= 1000;
    power += 1;
  }
  return `${power === 0 ? value : value.toFixed(1)} ${units[power] ?? ''}`;
}
