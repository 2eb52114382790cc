import { readFileSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../sandbox/processes';

const read = (file: string): string => readFileSync(path.join(projectFolder, file), 'utf8');

const lockfile = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: true; readonly resolved?: string }>>;
};
const { allowScripts } = JSON.parse(read('package.json')) as {
  readonly allowScripts: Readonly<Record<string, boolean>>;
};

test('every package with an install script is named as one that may run it or may not, and no other is', () => {
  const withScripts = Object.entries(lockfile.packages).flatMap(([folder, { hasInstallScript }]) =>
    hasInstallScript === true ? [folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length)] : [],
  );
  expect(Object.keys(allowScripts).toSorted()).toEqual([...new Set(withScripts)].toSorted());
});

test('npm refuses install scripts of any other package', () => {
  expect(read('.npmrc')).toMatch(/^strict-allow-scripts=true$/m);
});

test('the lockfile names no registry, so that each takes its own', () => {
  const resolved = Object.entries(lockfile.packages).filter(([, each]) => each.resolved !== undefined);
  expect(resolved).toEqual([]);
});
