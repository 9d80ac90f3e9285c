//! What the texts in bodies and queries look like, for the reference, where no type of the domain says
//! it: the bounds are those of the code that reads them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::account::password::MAX_CODE_POINTS;
use crate::cursor::{DEFAULT_LIMIT, MAX_LIMIT};

/// No control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// Declares what a text looks like. One that stands `in components` is there once.
macro_rules! shapes {
    ($($(#[doc = $doc:literal])* $name:ident $(in $place:ident)? { $($shape:tt)* })*) => {$(
        $(#[doc = $doc])*
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                <[&str]>::is_empty(&[$(stringify!($place),)?])
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!({ $($shape)* });
                let about = concat!($($doc),*).trim();
                schema.insert("description".to_owned(), about.into());
                schema
            }
        }
    )*};
}

shapes! {
    /// What an account calls itself; can be empty. Characters that cannot be seen, that turn the direction
    /// of writing, or that Unicode does not know are refused.
    DisplayName {
        "type": "string", "maxLength": 100, "pattern": PLAIN, "examples": ["Ada Lovelace"],
    }

    /// What it is for, in a sentence; can be empty. Of the same characters as a display name.
    Description {
        "type": "string", "maxLength": 200, "pattern": PLAIN, "examples": ["Looks after people."],
    }

    /// A password that is to be set. Common ones are refused, and so are those that contain the
    /// account's name or address, or the name of this site.
    NewPassword in components {
        "type": "string", "format": "password", "writeOnly": true,
        "minLength": 12, "maxLength": MAX_CODE_POINTS, "examples": ["harbour-lantern-quilt-47"],
    }

    /// The password that the account has.
    Password {
        "type": "string", "format": "password", "writeOnly": true,
        "examples": ["harbour-lantern-quilt-47"],
    }

    /// How many are on a page.
    Limit { "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }

    /// The `next_cursor` of the page before.
    Cursor { "type": "string" }

    /// A moment in RFC 3339, or a day.
    When {
        "type": "string",
        "anyOf": [{ "format": "date-time" }, { "format": "date" }],
        "examples": ["2026-01-31"],
    }

    /// An address or a network; `unknown`, where a proxy named none; empty for all.
    Network {
        "type": "string",
        "anyOf": [
            { "format": "ipv4" },
            { "format": "ipv6" },
            { "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$" },
            { "pattern": "^[0-9a-f:.]+/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])$" },
            { "enum": ["", "unknown"] },
        ],
        "examples": ["203.0.113.0/24"],
    }
}
