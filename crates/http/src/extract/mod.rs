//! From a request to checked values. What is strict here is strict everywhere: no unknown field or parameter passes, and each
//! refusal names what is at fault.
//!
//! The extractors have the names of axum's own, so that `utoipa::path` reads their types off the handlers.

mod body;
mod caller;
mod params;

pub(crate) use body::{Import, Json, read_json};
pub(crate) use caller::{By, Operator, SESSION_COOKIE};
pub(crate) use params::{Path, Query};

use crate::problem::{Code, Problem};

/// Explains why a value could not be read, from what serde says of it and where.
fn refused(code: Code, path: &serde_path_to_error::Path, message: &str) -> Problem {
    let mut field = path.to_string();
    if path.iter().len() == 0 || field == "?" {
        field.clear();
    }
    // «unknown field `x`» and «missing field `x`» are said of the object that has or lacks it.
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    if let Some(name) = named {
        let last = field.rsplit('.').next().unwrap_or_default();
        if last != name {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(name);
        }
    }
    Problem::field(code, field, format!("cannot be read: {message}"))
}
