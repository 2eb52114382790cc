import { schemaFile } from '../../src/dump/schema';

test("a schema file is the API's fields array, whole and unchanged", () => {
  const fields = [
    { name: 'id', type: 'STRING', mode: 'REQUIRED', description: 'A “key” with <odd> text\nand a line break' },
    {
      name: 'address',
      type: 'RECORD',
      mode: 'REPEATED',
      fields: [{ name: 'city', type: 'STRING', policyTags: { names: ['projects/p/taxonomies/1/policyTags/2'] } }],
    },
  ];
  const file = schemaFile(fields);
  expect(JSON.parse(file)).toEqual(fields);
  expect(file.endsWith(']\n')).toBe(true);
});
