/** What a text column is about. Each meaning has one faker method and one pool of ready values. */
export const MEANINGS = [
  'email',
  'fullName',
  'firstName',
  'lastName',
  'username',
  'password',
  'phone',
  'url',
  'domain',
  'city',
  'country',
  'countryCode',
  'street',
  'zip',
  'state',
  'company',
  'job',
  'product',
  'category',
  'color',
  'currency',
  'ip',
  'mac',
  'userAgent',
  'mime',
  'file',
  'locale',
  'timezone',
  'iban',
  'hash',
  'semver',
  'slug',
  'title',
  'sentence',
  'paragraph',
  'word',
] as const;

export type Meaning = (typeof MEANINGS)[number];

/*
 * Rules over the words of a column's name, the first that fits wins. Whole words, never parts of one: "skype_id" holds
 * no "kyp" and "interval" no "int".
 */
const RULES: readonly (readonly [Meaning, readonly string[]])[] = [
  ['email', ['email', 'mail', 'email address', 'e mail']],
  ['userAgent', ['user agent', 'useragent', 'browser']],
  ['username', ['username', 'user name', 'login', 'nick', 'nickname', 'handle', 'screen name']],
  ['password', ['password', 'passwd', 'pwd', 'secret']],
  ['hash', ['hash', 'digest', 'checksum', 'md5', 'sha1', 'sha256', 'token', 'fingerprint', 'etag']],
  ['firstName', ['first name', 'firstname', 'given name', 'forename', 'fname']],
  ['lastName', ['last name', 'lastname', 'surname', 'family name', 'lname']],
  [
    'fullName',
    ['full name', 'fullname', 'display name', 'author', 'owner name', 'contact name', 'customer name', 'person'],
  ],
  ['phone', ['phone', 'mobile', 'telephone', 'fax', 'tel', 'cell', 'phone number']],
  ['mime', ['mime', 'mimetype', 'content type', 'media type']],
  ['file', ['file', 'filename', 'path', 'attachment', 'file name']],
  ['domain', ['domain', 'hostname', 'host', 'fqdn']],
  ['url', ['url', 'uri', 'website', 'link', 'homepage', 'href', 'avatar', 'image']],
  ['ip', ['ip', 'ip address', 'ipaddress', 'remote addr']],
  ['mac', ['mac', 'mac address']],
  ['countryCode', ['country code', 'iso code']],
  ['country', ['country', 'nation']],
  ['state', ['province', 'region', 'district', 'state name']],
  ['city', ['city', 'town', 'municipality', 'place']],
  ['zip', ['zip', 'postcode', 'postal code', 'zipcode', 'zip code']],
  ['street', ['street', 'address', 'address1', 'address2', 'addr']],
  ['company', ['company', 'organization', 'organisation', 'vendor', 'supplier', 'manufacturer', 'brand', 'employer']],
  ['job', ['job', 'profession', 'occupation', 'position', 'role']],
  ['currency', ['currency', 'currency code']],
  ['iban', ['iban', 'account number']],
  ['color', ['color', 'colour']],
  ['product', ['product', 'item', 'article']],
  ['category', ['category', 'department', 'genre', 'tag', 'tags', 'label', 'labels']],
  ['locale', ['locale', 'lang', 'language']],
  ['timezone', ['timezone', 'time zone', 'tz']],
  ['semver', ['version']],
  ['slug', ['slug', 'key', 'identifier']],
  ['title', ['title', 'subject', 'headline', 'caption', 'summary']],
  ['paragraph', ['body', 'content', 'text', 'message', 'html', 'bio', 'about']],
  [
    'sentence',
    ['description', 'comment', 'comments', 'note', 'notes', 'remark', 'remarks', 'details', 'reason', 'desc'],
  ],
  ['fullName', ['name']],
];

/** The meaning of a text column by the words of its name; `word` where they say nothing. */
export function meaningOf(columnName: string): Meaning {
  let meaning = KNOWN.get(columnName);
  if (meaning === undefined) {
    meaning = readMeaning(columnName);
    KNOWN.set(columnName, meaning);
  }
  return meaning;
}

/* Schemas of thousands of tables use the same few names. */
const KNOWN = new Map<string, Meaning>();

function readMeaning(columnName: string): Meaning {
  const words = columnName
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  const spaced = ` ${words.join(' ')} `;
  for (const [meaning, phrases] of RULES) {
    if (phrases.some((phrase) => spaced.includes(` ${phrase} `))) return meaning;
  }
  return 'word';
}
