//! Shapes of JSON documents: schemas that are made from the very types that are read and written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a document.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The shape of a type.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

/// The schema of a document that we read: what may be left out is not required.
pub(super) fn read(shape: Shape) -> Schema {
    schema(shape, SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of a document that we write: what is always there is required.
pub(super) fn written(shape: Shape) -> Schema {
    schema(shape, SchemaSettings::draft2020_12().for_serialize())
}

/// Parts stand where they are used: none of our types holds itself, and many have the same short name.
fn schema(shape: Shape, settings: SchemaSettings) -> Schema {
    shape(&mut settings.with(|settings| settings.inline_subschemas = true).into_generator())
}
