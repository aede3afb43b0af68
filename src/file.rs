//! Files that are written whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `path` through `fill`: under a temporary name in the same folder, renamed when all of it is on its way to the
/// disk. If anything fails, what stood under `path` before still stands there. A device or a pipe is written directly.
///
/// # Errors
/// If the file cannot be created, written or renamed, and whatever `fill` returns.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(path, "is a folder; the name of a file is wanted"));
    }
    if path.exists() && !path.is_file() {
        let mut device = BufWriter::new(File::options().write(true).open(path).map_err(Error::io(path, "write"))?);
        return fill(&mut device).and_then(|()| device.flush()).map_err(Error::io(path, "write"));
    }
    // A link is followed, so that what it points to is replaced and not the link, even if nothing is there yet.
    let pointed_at = || Some(path.parent()?.join(std::fs::read_link(path).ok()?));
    let target = std::fs::canonicalize(path).ok().or_else(pointed_at).unwrap_or_else(|| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(".unfenced-");
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
    let mut file = temporary.tempfile_in(folder).map_err(Error::io(path, "create"))?;
    let mut writer = BufWriter::with_capacity(1 << 20, &mut file);
    fill(&mut writer).and_then(|()| writer.flush()).map_err(Error::io(path, "write"))?;
    drop(writer);
    file.as_file().sync_all().map_err(Error::io(path, "write"))?;
    file.persist(&target).map_err(|error| error.error).map_err(Error::io(path, "write"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("precious");
        write(&path, |out| out.write_all(b"old")).expect("written");
        let failed = write(&path, |out| {
            out.write_all(b"new, but")?;
            Err(std::io::Error::other("no more room"))
        });
        assert!(failed.expect_err("fails").to_string().ends_with("cannot write: no more room"));
        assert_eq!(std::fs::read(&path).expect("still there"), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_stays_a_device() {
        let full = Path::new("/dev/full");
        assert!(write(full, |out| out.write_all(&[7; 10_000])).is_err());
        assert!(full.exists() && !full.is_file());
    }
}
