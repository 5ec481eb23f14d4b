//! Every rule of the product, one module per noun.

pub mod auth;
