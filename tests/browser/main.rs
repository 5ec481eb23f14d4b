//! Stories in a real browser: what people see, on wide and narrow screens, in light and dark, with and without scripts.
//! Pictures of every page are left in `target/screenshots`.

mod agents;
mod browser;
mod doors;
mod driver;
mod fleet;
mod groups;
mod pages;
mod paper;
mod site;
mod tasks;
