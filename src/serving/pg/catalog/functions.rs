//! The functions of PostgreSQL that queries of its catalog call. They work row by row: the catalog is small.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::Cx;
use super::cells::{Cell, array};
use super::relations::{CATALOG_RELATIONS, OWNER, SCHEMAS, oid};
use crate::serving::pg::settings::{DATABASE, VERSION};
use crate::serving::pg::types::{self, folded};

/// The name of the user that owns everything.
pub(super) const OWNER_NAME: &str = "tidemill";

/// The number of the encoding.
pub(super) const UTF8: i64 = 6;

/// What functions know besides their arguments.
#[derive(Debug)]
struct Known {
    user: String,
    settings: HashMap<String, String>,
    relations: Vec<(i64, String)>,
}

type Body = fn(&Known, &[Cell]) -> Cell;

/// A function: its name, what it returns (as the letters of tables say it; `l` for a list of texts), and how.
struct Function {
    name: &'static str,
    returns: char,
    body: Body,
}

const fn function(name: &'static str, returns: char, body: Body) -> Function {
    Function { name, returns, body }
}

const YES: Body = |_, _| Cell::Bool(true);
const NO: Body = |_, _| Cell::Bool(false);
const NULL: Body = |_, _| Cell::Null;
const ZERO: Body = |_, _| Cell::Int(0);

const FUNCTIONS: &[Function] = &[
    function("version", 't', |_, _| format!("PostgreSQL {VERSION}").into()),
    function("current_database", 't', |_, _| DATABASE.into()),
    function("current_catalog", 't', |_, _| DATABASE.into()),
    function("current_schema", 't', |_, _| "public".into()),
    function("current_schemas", 'l', |_, arguments| match arguments {
        [Cell::Bool(true)] => Cell::List(vec!["pg_catalog".into(), "public".into()]),
        _ => Cell::List(vec!["public".into()]),
    }),
    function("current_user", 't', |known, _| known.user.as_str().into()),
    function("session_user", 't', |known, _| known.user.as_str().into()),
    function("user", 't', |known, _| known.user.as_str().into()),
    function("current_role", 't', |known, _| known.user.as_str().into()),
    function("current_setting", 't', |known, arguments| {
        let name = arguments.first().and_then(Cell::text).unwrap_or_default().to_ascii_lowercase();
        known.settings.get(&name).map_or(Cell::Null, |value| value.as_str().into())
    }),
    function("set_config", 't', |_, arguments| arguments.get(1).cloned().unwrap_or(Cell::Null)),
    function("pg_backend_pid", '4', ZERO),
    function("pg_is_in_recovery", 'b', NO),
    function("pg_my_temp_schema", 'o', ZERO),
    function("pg_is_other_temp_schema", 'b', NO),
    function("inet_server_addr", 't', NULL),
    function("inet_server_port", '4', NULL),
    function("txid_current", '8', ZERO),
    function("pg_table_is_visible", 'b', YES),
    function("pg_type_is_visible", 'b', YES),
    function("pg_function_is_visible", 'b', YES),
    function("pg_operator_is_visible", 'b', YES),
    function("pg_collation_is_visible", 'b', YES),
    function("pg_statistics_obj_is_visible", 'b', YES),
    function("has_table_privilege", 'b', YES),
    function("has_any_column_privilege", 'b', YES),
    function("has_column_privilege", 'b', YES),
    function("has_schema_privilege", 'b', YES),
    function("has_database_privilege", 'b', YES),
    function("has_sequence_privilege", 'b', YES),
    function("has_function_privilege", 'b', YES),
    function("has_type_privilege", 'b', YES),
    function("pg_has_role", 'b', YES),
    function("pg_relation_is_publishable", 'b', NO),
    function("pg_get_expr", 't', NULL),
    function("pg_get_viewdef", 't', NULL),
    function("pg_get_indexdef", 't', NULL),
    function("pg_get_constraintdef", 't', NULL),
    function("pg_get_triggerdef", 't', NULL),
    function("pg_get_ruledef", 't', NULL),
    function("pg_get_functiondef", 't', NULL),
    function("pg_get_function_arguments", 't', NULL),
    function("pg_get_function_identity_arguments", 't', NULL),
    function("pg_get_function_result", 't', NULL),
    function("pg_get_partkeydef", 't', NULL),
    function("pg_get_partition_constraintdef", 't', NULL),
    function("pg_get_statisticsobjdef_columns", 't', NULL),
    function("pg_get_serial_sequence", 't', NULL),
    function("pg_tablespace_location", 't', NULL),
    function("obj_description", 't', NULL),
    function("col_description", 't', NULL),
    function("shobj_description", 't', NULL),
    function("pg_relation_size", '8', ZERO),
    function("pg_table_size", '8', ZERO),
    function("pg_total_relation_size", '8', ZERO),
    function("pg_indexes_size", '8', ZERO),
    function("pg_database_size", '8', ZERO),
    function("pg_size_pretty", 't', |_, arguments| match arguments.first().and_then(Cell::number) {
        Some(bytes) => format!("{bytes} bytes").into(),
        None => Cell::Null,
    }),
    function("pg_encoding_to_char", 't', |_, arguments| {
        if arguments.first().and_then(Cell::number) == Some(UTF8) { "UTF8".into() } else { "".into() }
    }),
    function("pg_get_userbyid", 't', |known, arguments| match arguments.first().and_then(Cell::number) {
        Some(OWNER) => OWNER_NAME.into(),
        Some(_) => known.user.as_str().into(),
        None => Cell::Null,
    }),
    function("format_type", 't', |_, arguments| {
        let modifier = arguments.get(1).and_then(Cell::number).unwrap_or(-1);
        arguments.first().and_then(Cell::number).map_or(Cell::Null, |oid| type_name(oid, modifier).into())
    }),
    function("regtype_oid", 'o', |_, arguments| {
        let name = simple_name(arguments.first());
        let found = types::ALL.iter().find(|known| known.name == name || known.standard == name);
        found.map_or(Cell::Null, |known| known.oid.into())
    }),
    function("regclass_oid", 'o', to_class),
    function("to_regclass", 'o', to_class),
    function("regclass_name", 't', |known, arguments| {
        let Some(wanted) = arguments.first().and_then(Cell::number) else { return Cell::Null };
        let own = known.relations.iter().find(|(oid, _)| *oid == wanted).map(|(_, name)| name.as_str());
        let found = own.or_else(|| CATALOG_RELATIONS.iter().find(|(oid, _)| *oid == wanted).map(|(_, name)| *name));
        found.map_or_else(|| wanted.to_string().into(), Cell::from)
    }),
    function("regnamespace_oid", 'o', |_, arguments| {
        let name = simple_name(arguments.first());
        SCHEMAS.iter().find(|(_, known)| *known == name).map_or(Cell::Null, |(oid, _)| (*oid).into())
    }),
    function("quote_ident", 't', |_, arguments| match arguments.first().and_then(Cell::text) {
        Some(name) if folded(&name.to_ascii_uppercase()) == name => name.into(),
        Some(name) => format!("\"{}\"", name.replace('"', "\"\"")).into(),
        None => Cell::Null,
    }),
    function("array_to_string", 't', |_, arguments| match arguments {
        [Cell::List(items), Cell::Text(between), ..] => {
            let texts: Vec<&str> = items.iter().filter_map(Cell::text).collect();
            texts.join(between).into()
        }
        _ => Cell::Null,
    }),
    function("array_of", 'l', |_, arguments| Cell::List(arguments.to_vec())),
    function("array_item", 't', |_, arguments| match arguments {
        [Cell::List(items), place] => {
            let place = place.number().and_then(|place| usize::try_from(place - 1).ok());
            place.and_then(|place| items.get(place).cloned()).unwrap_or(Cell::Null)
        }
        _ => Cell::Null,
    }),
    function("array_upper", '4', count),
    function("array_length", '4', count),
    function("cardinality", '4', count),
    function("is_any", 'b', |_, arguments| match arguments {
        [Cell::Null, _] | [_, Cell::Null] => Cell::Null,
        [value, list] => Cell::Bool(
            items(list).iter().any(|item| item == value || item.number() == value.number() && item.number().is_some()),
        ),
        _ => Cell::Null,
    }),
    function("lower", 't', |_, arguments| text(arguments, |text| text.to_lowercase().into())),
    function("upper", 't', |_, arguments| text(arguments, |text| text.to_uppercase().into())),
    function("length", '4', |_, arguments| text(arguments, |text| (text.chars().count() as i64).into())),
    function("btrim", 't', |_, arguments| text(arguments, |text| text.trim().into())),
    function("concat", 't', |_, arguments| arguments.iter().filter_map(Cell::text).collect::<String>().into()),
    function("replace", 't', |_, arguments| match arguments {
        [Cell::Text(text), Cell::Text(from), Cell::Text(to)] => text.replace(from.as_str(), to).into(),
        _ => Cell::Null,
    }),
    function("substring", 't', |_, arguments| {
        let from = arguments.get(1).and_then(Cell::number).unwrap_or(1).max(1) as usize - 1;
        let most = arguments.get(2).and_then(Cell::number).map_or(usize::MAX, |most| most.max(0) as usize);
        text(arguments, |text| text.chars().skip(from).take(most).collect::<String>().into())
    }),
];

/// The value of a function of a text.
fn text(arguments: &[Cell], of: impl Fn(&str) -> Cell) -> Cell {
    arguments.first().and_then(Cell::text).map_or(Cell::Null, of)
}

/// How many items an array has; NULL for none.
fn count(_: &Known, arguments: &[Cell]) -> Cell {
    match arguments.first() {
        Some(Cell::List(items)) if !items.is_empty() => Cell::Int(items.len() as i64),
        _ => Cell::Null,
    }
}

/// The items of a list, also of one that is written as `{a,b}`.
fn items(list: &Cell) -> Vec<Cell> {
    match list {
        Cell::List(items) => items.clone(),
        Cell::Text(text) => {
            let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
            inner.split(',').filter(|item| !item.is_empty()).map(|item| item.trim().trim_matches('"').into()).collect()
        }
        _ => Vec::new(),
    }
}

/// A name without its schema and quotes.
fn simple_name(cell: Option<&Cell>) -> String {
    let text = cell.and_then(Cell::text).unwrap_or_default();
    let last = ["pg_catalog.", "public.", "information_schema."].iter().find_map(|schema| text.strip_prefix(schema));
    last.unwrap_or(text).trim_matches('"').to_owned()
}

/// The OID of a relation that is named, or written as a number.
fn to_class(known: &Known, arguments: &[Cell]) -> Cell {
    if let Some(number) = arguments.first().and_then(Cell::number) {
        return Cell::Int(number);
    }
    let name = simple_name(arguments.first());
    let own = known.relations.iter().find(|(_, own)| *own == name).map(|(oid, _)| *oid);
    let found = own.or_else(|| CATALOG_RELATIONS.iter().find(|(_, own)| *own == name).map(|(oid, _)| *oid));
    found.map_or(Cell::Null, Cell::Int)
}

/// The name of a type, with its digits.
fn type_name(oid: i64, modifier: i64) -> String {
    let oid = u32::try_from(oid).unwrap_or(0);
    let (known, suffix) = match (types::find(oid), types::item(oid)) {
        (Some(known), _) => (known, ""),
        (None, Some(item)) => (item, "[]"),
        (None, None) => return "???".to_owned(),
    };
    let digits = match modifier - 4 {
        digits if known.oid == types::NUMERIC && digits >= 0 => format!("({},{})", digits >> 16, digits & 0xffff),
        _ => String::new(),
    };
    format!("{}{digits}{suffix}", known.standard)
}

/// Makes all functions known to a session.
pub(super) fn register(context: &SessionContext, cx: &Cx) {
    let settings = cx.settings.all().into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let relations = cx.catalog.sources().map(|source| (oid(source), folded(&source.name)));
    let known = Known { user: cx.user.to_owned(), settings: settings.collect(), relations: relations.collect() };
    let known = Arc::new(known);
    for function in FUNCTIONS {
        context.register_udf(ScalarUDF::new_from_impl(Bound {
            function,
            known: known.clone(),
            signature: Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable),
        }));
    }
}

/// A function as DataFusion calls it.
struct Bound {
    function: &'static Function,
    known: Arc<Known>,
    signature: Signature,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.function.name)
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Bound {}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType, DataFusionError> {
        Ok(match self.function.returns {
            'b' => DataType::Boolean,
            '4' => DataType::Int32,
            '8' => DataType::Int64,
            'o' => DataType::UInt32,
            'l' => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            _ => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let is_scalar = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { arguments.number_rows };
        let columns = arguments.args.into_iter().map(|argument| cells(&argument.into_array(rows)?));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let row = |row: usize| columns.iter().map(|column| column[row].clone()).collect::<Vec<_>>();
        let values = (0..rows).map(|at| (self.function.body)(&self.known, &row(at))).collect();
        let array = array(&self.return_type(&[])?, values);
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

/// The values of an array.
fn cells(column: &ArrayRef) -> Result<Vec<Cell>, DataFusionError> {
    let present = |row: usize, cell: &dyn Fn() -> Cell| if column.is_null(row) { Cell::Null } else { cell() };
    Ok(match column.data_type() {
        DataType::Null => vec![Cell::Null; column.len()],
        DataType::Boolean => {
            let values = column.as_boolean();
            (0..column.len()).map(|row| present(row, &|| Cell::Bool(values.value(row)))).collect()
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let list = |row| if lists.is_null(row) { Ok(Cell::Null) } else { cells(&lists.value(row)).map(Cell::List) };
            (0..column.len()).map(list).collect::<Result<_, _>>()?
        }
        other if other.is_integer() => {
            let values = cast(column, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            (0..column.len()).map(|row| present(row, &|| Cell::Int(values.value(row)))).collect()
        }
        _ => {
            let values = cast(column, &DataType::Utf8)?;
            let values = values.as_string::<i32>();
            (0..column.len()).map(|row| present(row, &|| values.value(row).into())).collect()
        }
    })
}
