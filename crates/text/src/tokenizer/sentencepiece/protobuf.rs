//! Fields of messages in the wire format of protocol buffers.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Integers, enumerations, true or false.
    Integer(u64),
    /// Four bytes: a float.
    Four([u8; 4]),
    /// Eight bytes.
    Eight,
    /// Texts, bytes and messages.
    Bytes(&'a [u8]),
}

/// The fields of a message, one after the other; an error ends them.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let &[byte] = self.take(1)?.first_chunk()?;
            value |= u64::from(byte & 127).checked_shl(7 * place)?;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Integer(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Eight
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.take(4)?.first_chunk().copied()?),
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// Number and value of a field, or `None` where the message is damaged.
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Value};

    #[test]
    fn fields_are_read_and_damaged_ones_end_them() {
        let message = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let fields: Option<Vec<_>> = Fields::new(&message).collect();
        let expected = vec![
            (1, Value::Integer(150)),
            (2, Value::Bytes(b"hi")),
            (3, Value::Four(1f32.to_le_bytes())),
            (4, Value::Eight),
        ];
        assert_eq!(fields, Some(expected));
        // Cut off, lengths beyond the end, groups, and integers without end.
        for length in [1, 2, 4, 5, 6, 8, 11, 13, 20] {
            assert_eq!(Fields::new(&message[..length]).last(), Some(None), "{length}");
        }
        for damaged in [&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x0b], &[0xff; 12], &[0x08, 0xff, 0xff]] {
            assert_eq!(Fields::new(damaged).collect::<Vec<_>>(), [None]);
        }
    }
}
