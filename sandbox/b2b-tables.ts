/**
 * Six tables of B2B marketing data, as SQL for DuckDB: the same seed gives the same rows, at any scale. Together their
 * columns have every BigQuery type that such tables use, nested and repeated ones included.
 */

/** `rows` is how many rows the table has at scale 1. `select` may use `id` (0, 1, …) and the macros below. */
interface TableRecipe {
  readonly rows: number;
  readonly select: string;
}

/** DuckDB macros: deterministic draws for row `id`, apart by `salt`. */
export const macros = (seed: number): string => `
  CREATE OR REPLACE TEMP MACRO draw(id, salt) AS (hash(id, salt, ${seed}) % 1000000)::BIGINT;
  CREATE OR REPLACE TEMP MACRO share(id, salt) AS draw(id, salt) / 1000000.0;
  CREATE OR REPLACE TEMP MACRO pick(list, id, salt) AS list[1 + draw(id, salt) % len(list)];
  CREATE OR REPLACE TEMP MACRO ident(prefix, id) AS prefix || '_' || lpad(to_base(1000003 * id + ${seed % 1000}, 36), 8, '0');
  CREATE OR REPLACE TEMP MACRO moment(id, salt) AS
    TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_microseconds(draw(id, salt) * 47304000 + draw(id, salt || 'us'));
`;

const words = (...list: string[]): string => `[${list.map((word) => `'${word.replaceAll("'", "''")}'`).join(', ')}]`;

const adjectives = words('Nordic', 'Blue', 'Rapid', 'Golden', 'Örsted', 'Quiet', 'Bright', 'Iron', 'Copper', 'Café');
const nouns = words('Analytics', 'Robotics', 'Logistics', 'Foods', 'Software', 'Energy', 'Health', 'Textiles', 'Labs');
const endings = words('Inc.', 'GmbH', 'ApS', 'Ltd', 'AB', '& Sons', 'S.A.', '株式会社');
const industries = words('SaaS', 'Manufacturing', 'Retail & E-commerce', 'Finance', 'Healthcare', 'Education');
const countries = words('DK', 'DE', 'SE', 'US', 'GB', 'FR', 'JP', 'BR');
const firstNames = words(
  'Anna',
  'Bjørn',
  'Chloé',
  'David',
  'Emíl',
  'Fatima',
  'Grace',
  'Hiro',
  'Ines',
  'Jürgen',
  "O'Neil",
);
const lastNames = words('Jensen', 'Müller', 'Smith', 'Lindqvist', 'Tanaka', 'Silva', 'Dubois', 'Olsen', "D'Arcy");
const titles = words('CMO', 'Head of Growth', 'Marketing Manager', 'VP Sales', 'CEO', 'Data Engineer', 'RevOps Lead');
const eventNames = words('page_view', 'form_submit', 'demo_request', 'webinar_signup', 'email_open', 'ad_click');
const pages = words('/', '/pricing', '/blog/attribution-101', '/demo', '/customers?sort=a&page=2', '/docs/<intro>');
const channels = words('Paid Search', 'Organic', 'Email', 'Paid Social', 'Referral', 'Direct', 'Events');
const networks = words('google_ads', 'linkedin_ads', 'meta_ads', 'microsoft_ads', 'capterra');
const campaigns = words('Brand | EU', 'Retargeting Q3', 'Lookalike "CFO"', 'ABM Tier 1', 'Webinar: Attribution & ROI');
const stages = words('MQL', 'SQL', 'Opportunity', 'Proposal', 'Closed Won', 'Closed Lost');
const currencies = words('EUR', 'USD', 'DKK', 'GBP');

const companies = `
  ident('com', id) AS company_id,
  pick(${adjectives}, id, 'a') || ' ' || pick(${nouns}, id, 'b') || ' ' || pick(${endings}, id, 'c') AS name,
  lower(strip_accents(pick(${adjectives}, id, 'a'))) || '-' || lower(pick(${nouns}, id, 'b')) || id || '.example' AS domain,
  pick(${industries}, id, 'd') AS industry,
  pick(${countries}, id, 'e') AS country,
  CASE WHEN share(id, 'f') < 0.9 THEN (5 * exp(8 * share(id, 'g')))::BIGINT END AS employees,
  CASE WHEN share(id, 'h') < 0.7 THEN (1e5 * exp(9 * share(id, 'i')))::DECIMAL(38, 9) / 7 END AS annual_revenue,
  share(id, 'j') < 0.2 AS is_customer,
  (moment(id, 'k')::DATE - (draw(id, 'l') % 9000)::INTEGER) AS founded_on,
  moment(id, 'm') AS created_at,
  { 'city': pick(${words('København', 'Berlin', 'New York', 'São Paulo', '東京')}, id, 'n'),
    'latitude': round(180 * share(id, 'o') - 90, 6), 'longitude': round(360 * share(id, 'p') - 180, 6) } AS location,
  list_transform(range(draw(id, 'q') % 4), lambda n: pick(${channels}, id * 7 + n, 'r')) AS tags,
  list_transform(range(draw(id, 's') % 3),
    lambda n: { 'source': pick(['hubspot', 'salesforce', 'pipedrive'], id + n, 't'), 'id': ident('crm', id * 3 + n) }) AS crm_records,
  json_object('tier', 1 + draw(id, 'u') % 3, 'note', 'a <b> & "c"', 'owner', NULL) AS properties`;

const contacts = `
  ident('con', id) AS contact_id,
  ident('com', draw(id, 'co') % greatest(1, total // 3)) AS company_id,
  lower(strip_accents(pick(${firstNames}, id, 'a'))) || '.' || id || '@mail.example' AS email,
  pick(${firstNames}, id, 'a') AS first_name,
  CASE WHEN share(id, 'b') < 0.95 THEN pick(${lastNames}, id, 'c') END AS last_name,
  CASE WHEN share(id, 'd') < 0.8 THEN pick(${titles}, id, 'e') END AS title,
  share(id, 'f') < 0.4 AS subscribed,
  round(100 * share(id, 'g'), 3) AS lead_score,
  moment(id, 'h') AS created_at,
  (moment(id, 'i') AT TIME ZONE 'UTC') AS last_seen_local,
  CASE WHEN share(id, 'j') < 0.3 THEN TIME '08:00:00' + to_seconds(draw(id, 'k') % 30000) END AS best_time_to_call,
  list_transform(range(draw(id, 'l') % 3), lambda n: { 'list': pick(${campaigns}, id + n, 'm'), 'joined_on': moment(id + n, 'n')::DATE }) AS lists`;

const events = `
  ident('evt', id) AS event_id,
  ident('com', draw(id, 'co') % greatest(1, total // 10)) AS company_id,
  CASE WHEN share(id, 'a') < 0.6 THEN ident('con', draw(id, 'b') % greatest(1, total // 4)) END AS contact_id,
  pick(${eventNames}, id, 'c') AS event_name,
  moment(id, 'd') AS "timestamp",
  'https://www.example.com' || pick(${pages}, id, 'e') AS page_url,
  { 'id': ident('ses', id // 5),
    'referrer': CASE WHEN share(id // 5, 'f') < 0.5 THEN 'https://search.example/?q=' || pick(${nouns}, id // 5, 'g') END,
    'utm': { 'source': pick(${networks}, id // 5, 'h'), 'medium': 'cpc', 'campaign': pick(${campaigns}, id // 5, 'i') },
    'pages': list_transform(range(1 + draw(id, 'j') % 4), lambda n: pick(${pages}, id + n, 'k')) } AS session,
  unhex(md5(id::VARCHAR || 'fingerprint')) AS fingerprint,
  json_object('value', draw(id, 'l') % 500, 'ab', ['A', 'B'], 'consent', { 'ads': share(id, 'm') < 0.5 }) AS properties`;

const revenue = `
  ident('deal', id) AS deal_id,
  ident('com', draw(id, 'co') % greatest(1, total * 2)) AS company_id,
  pick(${stages}, id, 'a') AS stage,
  (500 * exp(6 * share(id, 'b')))::DECIMAL(38, 9) / 3 AS amount,
  pick(${currencies}, id, 'c') AS currency,
  CASE WHEN share(id, 'd') < 0.6 THEN moment(id, 'e')::DATE END AS closed_on,
  moment(id, 'f') AS created_at,
  list_transform(range(1 + draw(id, 'g') % 4),
    lambda n: { 'stage': pick(${stages}, id + n, 'h'), 'entered_at': moment(id + n, 'i'), 'probability': round(share(id + n, 'j'), 2) }) AS stage_history`;

const revenueAttribution = `
  ident('deal', draw(id, 'a') % greatest(1, total // 6)) AS deal_id,
  ident('evt', draw(id, 'b') % greatest(1, total * 3)) AS event_id,
  pick(['first_touch', 'last_touch', 'linear', 'w_shaped', 'data_driven'], id, 'c') AS model,
  pick(${channels}, id, 'd') AS channel,
  share(id, 'e') AS weight,
  (1000 * share(id, 'f'))::DECIMAL(38, 9) / 9 AS attributed_amount,
  moment(id, 'g') AS touched_at`;

const paidAds = `
  moment(id, 'a')::DATE AS "date",
  pick(${networks}, id, 'b') AS network,
  pick(${campaigns}, id, 'c') AS campaign,
  ident('ad', id % 500) AS ad_id,
  draw(id, 'd') AS impressions,
  draw(id, 'd') // 83 AS clicks,
  round(draw(id, 'e') / 97.0, 2)::DECIMAL(38, 9) AS cost,
  CASE WHEN share(id, 'f') < 0.4 THEN share(id, 'g') * 12 END AS conversions,
  pick(${currencies}, id, 'h') AS currency`;

export const b2bTables: Readonly<Record<string, TableRecipe>> = {
  companies: { rows: 8_000, select: companies },
  contacts: { rows: 20_000, select: contacts },
  events: { rows: 60_000, select: events },
  revenue: { rows: 6_000, select: revenue },
  revenue_attribution: { rows: 25_000, select: revenueAttribution },
  paid_ads: { rows: 15_000, select: paidAds },
};

/** A query of the table's rows. */
export const tableQuery = ({ select }: TableRecipe, rowCount: number): string =>
  `SELECT ${select} FROM (SELECT range AS id, ${rowCount} AS total FROM range(${rowCount}))`;
