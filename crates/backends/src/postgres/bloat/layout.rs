//! How PostgreSQL lays rows and index entries out on pages: pure arithmetic, from the documented formats.
//!
//! It knows alignment, the bitmap of NULLs, short values without alignment, values kept beside the row, fill factors and
//! lists of equal index entries. It does not know what dropped columns left in a row.

/// The header of a page and, of an index page, its end.
pub const PAGE_HEADER: f64 = 24.0;
const INDEX_END: f64 = 16.0;
/// The pointer to a row or an entry on its page.
pub const POINTER: f64 = 4.0;
/// What is left in the row of a value that is kept beside it.
const OUTSIDE: u64 = 18;
/// The bytes of one chunk of such a value.
const CHUNK: u64 = 1_996;
/// The longest value with a header of one byte.
const SHORT: u64 = 127;
/// A row wider than this has values moved out that may only leave it last.
const WIDEST: u64 = 8_160;

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// `attlen`: the length, -1 for a variable one, -2 for text that ends with a zero.
    pub length: i64,
    /// The multiple at which it begins.
    pub align: u64,
    /// `p`, `e`, `m` or `x`.
    pub storage: char,
}

/// The multiple that `attalign` stands for.
pub fn alignment(code: &str) -> u64 {
    match code {
        "c" => 1,
        "s" => 2,
        "i" => 4,
        _ => 8,
    }
}

/// `n`, rounded up to a multiple of eight.
pub fn eight(n: u64) -> u64 {
    n.div_ceil(8) * 8
}

/// The bytes of a row with values of these sizes, and the sizes of those that are kept beside it.
pub fn row(shapes: &[Shape], sizes: &[Option<u64>], target: u64) -> (u64, Vec<u64>) {
    let nulls = sizes.iter().any(Option::is_none);
    let header = eight(23 + if nulls { (shapes.len() as u64).div_ceil(8) } else { 0 });
    let mut inside: Vec<Option<u64>> = sizes.to_vec();
    let mut outside = Vec::new();
    loop {
        let bytes = header + data(shapes, &inside);
        let movable = |storage: char| match storage {
            'x' | 'e' => bytes > target,
            'm' => bytes > WIDEST,
            _ => false,
        };
        let widest = shapes
            .iter()
            .zip(inside.iter().enumerate())
            .filter_map(|(shape, (n, size))| {
                Some((size.filter(|size| *size > 24 && movable(shape.storage))?, n))
            })
            .max();
        match widest {
            Some((size, n)) => {
                outside.push(size);
                inside[n] = Some(OUTSIDE);
            }
            None => return (eight(bytes), outside),
        }
    }
}

fn data(shapes: &[Shape], sizes: &[Option<u64>]) -> u64 {
    let mut at = 0u64;
    for (shape, size) in shapes.iter().zip(sizes) {
        let Some(size) = *size else { continue };
        let aligned = match shape.length {
            -1 => size > SHORT || shape.storage == 'p',
            -2 => false,
            _ => true,
        };
        if aligned {
            at = at.div_ceil(shape.align) * shape.align;
        }
        at += size;
    }
    at
}

/// The bytes that a value of this size takes in the table beside the rows, pointers included.
pub fn chunks(size: u64) -> u64 {
    let rest = size % CHUNK;
    let last = match rest {
        0 => 0,
        rest if rest < SHORT => eight(24 + 8 + 1 + rest) + POINTER as u64,
        rest => eight(24 + 8 + 4 + rest) + POINTER as u64,
    };
    size / CHUNK * (eight(24 + 8 + 4 + CHUNK) + POINTER as u64) + last
}

/// What a fresh page of a table holds of rows that take `row` bytes each, with their pointers; `even`: all the same.
pub fn filled(page: f64, fill: f64, row: f64, even: bool) -> f64 {
    let room = (page - PAGE_HEADER - page * (1.0 - fill / 100.0)).max(row).max(1.0);
    if row <= 0.0 {
        return room;
    }
    if even { (room / row).floor().max(1.0) * row } else { (room - row / 2.0).max(row) }
}

/// The pages of a fresh b-tree with so many entries that take `entry` bytes each, with their pointers; `key`: what one
/// of them alone takes.
pub fn tree(page: f64, fill: f64, entries: f64, entry: f64, key: f64) -> f64 {
    let room =
        (page - PAGE_HEADER - INDEX_END - page * (1.0 - fill / 100.0) - key - entry.max(key) / 2.0).max(key);
    let leaves = (entries * entry / room).ceil().max(1.0);
    let fan_out = ((page - PAGE_HEADER - INDEX_END) * 0.7 / key.max(12.0)).max(2.0);
    let mut level = leaves;
    let mut pages = 1.0 + leaves;
    while level > 1.0 {
        level = (level / fan_out).ceil();
        pages += level;
    }
    pages
}

/// The bytes for each row of an entry for `rows` rows with the same key, whose entry alone takes `key` bytes without
/// its pointer: where equal entries are kept as one with a list.
pub fn listed(page: f64, key: f64, rows: f64) -> f64 {
    if rows < 2.0 {
        return key + POINTER;
    }
    let most = (((page / 10.0).floor() - POINTER - key) / 6.0).floor().max(2.0);
    let rows = rows.min(most);
    (eight((key + 6.0 * rows) as u64) as f64 + POINTER) / rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT: Shape = Shape { length: 4, align: 4, storage: 'p' };
    const BIG: Shape = Shape { length: 8, align: 8, storage: 'p' };
    const TEXT: Shape = Shape { length: -1, align: 4, storage: 'x' };

    #[test]
    fn padding_and_nulls_are_counted() {
        assert_eq!(row(&[INT, BIG], &[Some(4), Some(8)], 2032).0, 24 + 16);
        assert_eq!(row(&[BIG, INT], &[Some(8), Some(4)], 2032).0, 24 + 16, "rounded up at the end");
        assert_eq!(row(&[INT, TEXT, INT], &[Some(4), Some(5), Some(4)], 2032).0, 24 + 16);
        assert_eq!(row(&[INT, TEXT, INT], &[Some(4), Some(200), Some(4)], 2032).0, 24 + 208);
        let wide = vec![INT; 12];
        let mut sizes = vec![Some(4); 12];
        assert_eq!(row(&wide, &sizes, 2032).0, 24 + 48);
        sizes[3] = None;
        assert_eq!(row(&wide, &sizes, 2032).0, 32 + 48, "44, rounded up, and a longer header");
    }

    #[test]
    fn the_largest_values_leave_a_row_that_is_too_wide() {
        let (bytes, outside) = row(&[INT, TEXT, TEXT], &[Some(4), Some(1_500), Some(900)], 2032);
        assert_eq!(outside, [1_500]);
        assert_eq!(bytes, 24 + eight(24 + 900));
        assert_eq!(chunks(1_996), 2_036);
        assert_eq!(chunks(4_000), 2 * 2_036 + 48 + 4);
    }

    #[test]
    fn lists_of_equal_entries_are_shorter() {
        assert_eq!(listed(8192.0, 16.0, 1.0), 20.0);
        assert_eq!(listed(8192.0, 16.0, 2.0), 18.0);
        assert!((6.0..6.4).contains(&listed(8192.0, 16.0, 1e6)));
    }
}
