//! The tables of `pg_catalog`: streams and tables are relations, their columns attributes, and the rest is what tools
//! look for and mostly find empty.

use super::cells::{Cell, Listed};
use super::{Cx, functions};
use crate::catalog::Source;
use crate::serving::pg::settings::DATABASE;
use crate::serving::pg::types::{self, PgType, folded};
use crate::types::Schema;

/// The schemas, with their OIDs.
pub(super) const SCHEMAS: [(i64, &str); 3] = [(11, "pg_catalog"), (2200, "public"), (13_000, "information_schema")];

/// The OID of the schema of streams and tables.
const PUBLIC: i64 = 2200;

/// The OID of the only user that owns things.
pub(super) const OWNER: i64 = 10;

/// The OID of the only database.
const DATABASE_OID: i64 = 5;

/// The OIDs of the catalog's own relations that others refer to.
pub(super) const CATALOG_RELATIONS: [(i64, &str); 6] = [
    (1247, "pg_type"),
    (1249, "pg_attribute"),
    (1255, "pg_proc"),
    (1259, "pg_class"),
    (2615, "pg_namespace"),
    (1262, "pg_database"),
];

/// The first OID that is not the catalog's own.
const FIRST_OID: i64 = 16_384;

/// The OID of a stream or table: the same as long as it exists.
pub(super) fn oid(source: &Source) -> i64 {
    // A version of the catalog makes one source.
    FIRST_OID + (source.made_at.get() % (1 << 31)) as i64
}

const CLASS: &str = "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o \
    reltablespace:o relpages:4 reltuples:f relallvisible:4 reltoastrelid:o relhasindex:b relisshared:b \
    relpersistence:t relkind:t relnatts:2 relchecks:2 relhasrules:b relhastriggers:b relhassubclass:b \
    relrowsecurity:b relforcerowsecurity:b relispopulated:b relreplident:t relispartition:b relrewrite:o \
    relacl:n reloptions:n relpartbound:n";

const ATTRIBUTE: &str = "attrelid:o attname:t atttypid:o attstattarget:4 attlen:2 attnum:2 attndims:4 attcacheoff:4 \
    atttypmod:4 attbyval:b attalign:t attstorage:t attcompression:t attnotnull:b atthasdef:b atthasmissing:b \
    attidentity:t attgenerated:t attisdropped:b attislocal:b attinhcount:4 attcollation:o attacl:n attoptions:n \
    attfdwoptions:n";

const TYPE: &str = "oid:o typname:t typnamespace:o typowner:o typlen:2 typbyval:b typtype:t typcategory:t \
    typispreferred:b typisdefined:b typdelim:t typrelid:o typsubscript:t typelem:o typarray:o typinput:t typoutput:t \
    typreceive:t typsend:t typnotnull:b typbasetype:o typtypmod:4 typndims:4 typcollation:o typdefault:n";

/// Tables that are empty here, with their columns.
const EMPTY: &[(&str, &str)] = &[
    ("pg_attrdef", "oid:o adrelid:o adnum:2 adbin:t"),
    ("pg_auth_members", "roleid:o member:o grantor:o admin_option:b"),
    ("pg_cast", "oid:o castsource:o casttarget:o castfunc:o castcontext:t castmethod:t"),
    (
        "pg_constraint",
        "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o \
         conindid:o conparentid:o confrelid:o confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:4 \
         connoinherit:b conkey:v confkey:v conbin:n",
    ),
    (
        "pg_collation",
        "oid:o collname:t collnamespace:o collowner:o collprovider:t collisdeterministic:b collencoding:4 collcollate:t \
         collctype:t",
    ),
    ("pg_cursors", "name:t statement:t is_holdable:b is_binary:b is_scrollable:b"),
    ("pg_depend", "classid:o objid:o objsubid:4 refclassid:o refobjid:o refobjsubid:4 deptype:t"),
    ("pg_description", "objoid:o classoid:o objsubid:4 description:t"),
    ("pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:t"),
    ("pg_event_trigger", "oid:o evtname:t evtevent:t evtowner:o evtfoid:o evtenabled:t"),
    ("pg_extension", "oid:o extname:t extowner:o extnamespace:o extrelocatable:b extversion:t"),
    ("pg_foreign_data_wrapper", "oid:o fdwname:t fdwowner:o fdwhandler:o fdwvalidator:o fdwoptions:n"),
    ("pg_foreign_server", "oid:o srvname:t srvowner:o srvfdw:o srvtype:n srvversion:n srvoptions:n"),
    ("pg_foreign_table", "ftrelid:o ftserver:o ftoptions:n"),
    (
        "pg_index",
        "indexrelid:o indrelid:o indnatts:2 indnkeyatts:2 indisunique:b indisprimary:b indisexclusion:b \
         indimmediate:b indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b \
         indkey:v indcollation:v indclass:v indoption:v indexprs:n indpred:n",
    ),
    ("pg_indexes", "schemaname:t tablename:t indexname:t tablespace:n indexdef:t"),
    ("pg_inherits", "inhrelid:o inhparent:o inhseqno:4 inhdetachpending:b"),
    ("pg_locks", "locktype:t database:o relation:o pid:4 mode:t granted:b"),
    ("pg_matviews", "schemaname:t matviewname:t matviewowner:t tablespace:n hasindexes:b ispopulated:b definition:t"),
    ("pg_opclass", "oid:o opcmethod:o opcname:t opcnamespace:o opcowner:o opcfamily:o opcintype:o opcdefault:b"),
    ("pg_operator", "oid:o oprname:t oprnamespace:o oprowner:o oprkind:t oprleft:o oprright:o oprresult:o oprcode:t"),
    ("pg_partitioned_table", "partrelid:o partstrat:t partnatts:2 partdefid:o partattrs:v partexprs:n"),
    ("pg_policy", "oid:o polname:t polrelid:o polcmd:t polpermissive:b polroles:n polqual:n polwithcheck:n"),
    ("pg_prepared_statements", "name:t statement:t from_sql:b"),
    (
        "pg_proc",
        "oid:o proname:t pronamespace:o proowner:o prolang:o procost:f prorows:f provariadic:o prosupport:t prokind:t \
         prosecdef:b proleakproof:b proisstrict:b proretset:b provolatile:t proparallel:t pronargs:2 \
         pronargdefaults:2 prorettype:o proargtypes:v proallargtypes:v proargmodes:n proargnames:n proargdefaults:n \
         prosrc:t probin:n proconfig:n proacl:n",
    ),
    ("pg_publication", "oid:o pubname:t pubowner:o puballtables:b pubinsert:b pubupdate:b pubdelete:b"),
    ("pg_publication_rel", "oid:o prpubid:o prrelid:o"),
    ("pg_publication_tables", "pubname:t schemaname:t tablename:t"),
    ("pg_range", "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o"),
    ("pg_rewrite", "oid:o rulename:t ev_class:o ev_type:t ev_enabled:t is_instead:b"),
    ("pg_seclabel", "objoid:o classoid:o objsubid:4 provider:t label:t"),
    ("pg_sequence", "seqrelid:o seqtypid:o seqstart:8 seqincrement:8 seqmax:8 seqmin:8 seqcache:8 seqcycle:b"),
    ("pg_sequences", "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:8 last_value:8"),
    ("pg_shdescription", "objoid:o classoid:o description:t"),
    ("pg_stat_activity", "datid:o datname:t pid:4 usename:t application_name:t state:t query:t"),
    (
        "pg_statistic_ext",
        "oid:o stxrelid:o stxname:t stxnamespace:o stxowner:o stxstattarget:4 stxkeys:v stxkind:v stxexprs:n",
    ),
    ("pg_stat_user_tables", "relid:o schemaname:t relname:t seq_scan:8 n_live_tup:8 n_dead_tup:8"),
    ("pg_subscription", "oid:o subname:t subowner:o subenabled:b"),
    ("pg_tablespace", "oid:o spcname:t spcowner:o spcacl:n spcoptions:n"),
    ("pg_timezone_names", "name:t abbrev:t utc_offset:t is_dst:b"),
    (
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname:t tgfoid:o tgtype:2 tgenabled:t tgisinternal:b tgconstrrelid:o \
         tgconstrindid:o tgconstraint:o tgdeferrable:b tginitdeferred:b tgnargs:2 tgqual:n",
    ),
    ("pg_views", "schemaname:t viewname:t viewowner:t definition:t"),
];

/// Whether a table of the schema has no rows here, whatever exists.
pub(super) fn is_empty(name: &str) -> bool {
    EMPTY.iter().any(|(empty, _)| *empty == name)
}

/// All tables of the schema.
pub(super) fn tables(cx: &Cx) -> Vec<Listed> {
    let listed = |name, columns| Listed::new("pg_catalog", name, columns);
    let mut all = vec![
        listed("pg_namespace", "oid:o nspname:t nspowner:o nspacl:n").rows(
            SCHEMAS.map(|(oid, name)| vec![("oid", oid.into()), ("nspname", name.into()), ("nspowner", OWNER.into())]),
        ),
        listed("pg_class", CLASS).rows(cx.catalog.sources().map(|source| class(source))),
        listed("pg_attribute", ATTRIBUTE).rows(cx.catalog.sources().flat_map(|source| attributes(source))),
        listed("pg_type", TYPE)
            .rows(types::ALL.iter().flat_map(|known| [base_type(known)].into_iter().chain(array_type(known)))),
        listed("pg_am", "oid:o amname:t amhandler:t amtype:t").rows([vec![
            ("oid", 2.into()),
            ("amname", "heap".into()),
            ("amtype", "t".into()),
        ]]),
        listed("pg_language", "oid:o lanname:t lanowner:o lanispl:b lanpltrusted:b")
            .rows([vec![("oid", 14.into()), ("lanname", "sql".into())]]),
        listed(
            "pg_tables",
            "schemaname:t tablename:t tableowner:t tablespace:n hasindexes:b hasrules:b hastriggers:b \
            rowsecurity:b",
        )
        .rows(cx.catalog.sources().map(|source| {
            let name = folded(&source.name).into();
            vec![("schemaname", "public".into()), ("tablename", name), ("tableowner", functions::OWNER_NAME.into())]
        })),
        listed("pg_settings", "name:t setting:t unit:n category:t short_desc:t context:t vartype:t source:t").rows(
            cx.settings.all().into_iter().map(|(name, value)| vec![("name", name.into()), ("setting", value.into())]),
        ),
        databases(),
    ];
    all.extend(roles(cx));
    all.extend(EMPTY.iter().map(|(name, columns)| listed(name, columns)));
    all
}

fn databases() -> Listed {
    let columns = "oid:o datname:t datdba:o encoding:4 datcollate:t datctype:t datistemplate:b datallowconn:b \
        datconnlimit:4 datlastsysoid:o dattablespace:o datacl:n";
    Listed::new("pg_catalog", "pg_database", columns).rows([vec![
        ("oid", DATABASE_OID.into()),
        ("datname", DATABASE.into()),
        ("datdba", OWNER.into()),
        ("encoding", functions::UTF8.into()),
        ("datcollate", "C".into()),
        ("datctype", "C".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1i64).into()),
    ]])
}

/// The owner of everything, and whoever asks, if that is another one.
fn roles(cx: &Cx) -> [Listed; 2] {
    let is_other = cx.user != functions::OWNER_NAME;
    let names = [(OWNER, functions::OWNER_NAME)].into_iter().chain(is_other.then_some((OWNER + 1, cx.user)));
    let names: Vec<(i64, &str)> = names.collect();
    let columns = "oid:o rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b \
        rolreplication:b \
        rolconnlimit:4 rolpassword:n rolvaliduntil:n rolbypassrls:b rolconfig:n";
    let role = |(oid, name): &(i64, &str)| {
        vec![
            ("oid", (*oid).into()),
            ("rolname", (*name).into()),
            ("rolcanlogin", true.into()),
            ("rolconnlimit", (-1i64).into()),
        ]
    };
    let user = |(oid, name): &(i64, &str)| vec![("usesysid", (*oid).into()), ("usename", (*name).into())];
    [
        Listed::new("pg_catalog", "pg_roles", columns).rows(names.iter().map(role)),
        Listed::new(
            "pg_catalog",
            "pg_user",
            "usename:t usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:n",
        )
        .rows(names.iter().map(user)),
    ]
}

fn class(source: &Source) -> Vec<(&'static str, Cell)> {
    vec![
        ("oid", oid(source).into()),
        ("relname", folded(&source.name).into()),
        ("relnamespace", PUBLIC.into()),
        ("relowner", OWNER.into()),
        ("relam", 2.into()),
        ("reltuples", (-1i64).into()),
        ("relpersistence", "p".into()),
        ("relkind", "r".into()),
        ("relnatts", (source.schema.columns().len() as i64).into()),
        ("relispopulated", true.into()),
        ("relreplident", "d".into()),
    ]
}

fn attributes(source: &Source) -> Vec<Vec<(&'static str, Cell)>> {
    let schema: &Schema = &source.schema;
    let attribute = |(place, column): (usize, &crate::types::Column)| {
        let oid_of_type = types::of(&column.sql_type);
        vec![
            ("attrelid", oid(source).into()),
            ("attname", folded(&column.name).into()),
            ("atttypid", oid_of_type.into()),
            ("attlen", i64::from(types::find(oid_of_type).map_or(-1, |known| known.size)).into()),
            ("attnum", (place as i64 + 1).into()),
            ("atttypmod", i64::from(types::modifier(&column.sql_type)).into()),
            ("attndims", i64::from(types::item(oid_of_type).is_some()).into()),
            ("attislocal", true.into()),
            ("attstattarget", (-1i64).into()),
            ("attcollation", if oid_of_type == types::TEXT { 100i64 } else { 0 }.into()),
        ]
    };
    schema.columns().iter().enumerate().map(attribute).collect()
}

fn base_type(known: &PgType) -> Vec<(&'static str, Cell)> {
    vec![
        ("oid", known.oid.into()),
        ("typname", known.name.into()),
        ("typnamespace", 11.into()),
        ("typowner", OWNER.into()),
        ("typlen", i64::from(known.size).into()),
        ("typtype", if known.oid == types::UNKNOWN { "p" } else { "b" }.into()),
        ("typcategory", known.category.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typarray", known.array.into()),
        ("typinput", format!("{}in", known.name).into()),
        ("typtypmod", (-1i64).into()),
        ("typcollation", if known.category == "S" { 100i64 } else { 0 }.into()),
    ]
}

/// The type of arrays of a type, if there is one.
fn array_type(known: &PgType) -> Option<Vec<(&'static str, Cell)>> {
    (known.array != 0).then(|| {
        vec![
            ("oid", known.array.into()),
            ("typname", format!("_{}", known.name).into()),
            ("typnamespace", 11.into()),
            ("typowner", OWNER.into()),
            ("typlen", (-1i64).into()),
            ("typtype", "b".into()),
            ("typcategory", "A".into()),
            ("typisdefined", true.into()),
            ("typdelim", ",".into()),
            ("typelem", known.oid.into()),
            ("typinput", "array_in".into()),
            ("typtypmod", (-1i64).into()),
        ]
    })
}
