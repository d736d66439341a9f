//! Every sysctl of a namespace, as far as it can be read.

use std::collections::BTreeMap;
use std::path::Path;

use crate::lab::SysctlKey;

/// Where the sysctls of the network are.
const NET: &str = "/proc/sys/net";

/// All values in this thread's namespace, with runs of white space made one blank. What can only be written has no
/// value, and neither has what has not been set yet.
pub(super) fn values_here() -> BTreeMap<SysctlKey, String> {
    let mut values = BTreeMap::new();
    add(Path::new(NET), "net", &mut values);
    values
}

fn add(folder: &Path, name: &str, values: &mut BTreeMap<SysctlKey, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let own = entry.file_name();
        // In a key, `/` stands for the point in an interface's name.
        let Some(own) = own.to_str().map(|own| own.replace('.', "/")) else { continue };
        let (path, name) = (entry.path(), format!("{name}.{own}"));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add(&path, &name, values);
        } else if let (Ok(key), Ok(text)) = (name.parse(), std::fs::read_to_string(&path)) {
            values.insert(key, text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
}
