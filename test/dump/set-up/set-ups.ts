import { parseAccountId, parseBucketName, parsePath } from '../../../src/dump/inputs';
import { defaultVendorRoleArn } from '../../../src/dump/policies';
import type { CustomerSetUp } from '../../../src/dump/set-up/set-up';

export const plain: CustomerSetUp = {
  accountId: parseAccountId('acc_7Hq2'),
  vendorRoleArn: defaultVendorRoleArn,
  roleName: 'dreamdata-data-platform',
  bucket: parseBucketName('acme-dreamdata'),
  expireDays: 7,
  bucketExists: false,
};

export const full: CustomerSetUp = {
  ...plain,
  path: parsePath("exports/o'clock & co"),
  kmsKeyArn: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd',
  expireDays: 30,
};

/** What no parser takes: the renderers must make text of it by themselves. */
export const hostileTexts = [
  'a"\n}\nresource "aws_iam_role" "mine" {\n  name = "',
  '${file("/etc/passwd")}',
  '$${a} $$${b} $$$${c} %%{d} %{ if true }x%{ endif } $%{e} %${f} ${ %{',
  '\\${a} \\\\"${b}" \\',
  '", "Principal": {"AWS": "*"}, "x": "',
  '\u0000\b\f\t\r\u007f\u2028\u2029\u{1d4b3} {{a}} <<EOT */ # //',
  '${AWS::AccountId} !Ref x Fn::Sub',
];

/** Every value that is text is `text`. */
export const filledWith = (text: string): CustomerSetUp => ({
  accountId: text as CustomerSetUp['accountId'],
  vendorRoleArn: text,
  roleName: text,
  bucket: text as CustomerSetUp['bucket'],
  path: text as NonNullable<CustomerSetUp['path']>,
  kmsKeyArn: text,
  expireDays: 7,
  bucketExists: false,
});
