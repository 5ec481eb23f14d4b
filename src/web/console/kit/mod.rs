//! What every page is made with: sessions, forms, frames, tables, and the small things in them.

pub mod act;
pub mod address;
pub mod admit;
pub mod cell;
pub mod chart;
pub mod cookie;
pub mod finding;
pub mod form;
pub mod frame;
pub mod line;
pub mod live;
pub mod plan;
pub mod routes;
pub mod schema;
pub mod scope_list;
pub mod session;
pub mod table;
pub mod text;
pub mod theme;
pub mod timeline;
