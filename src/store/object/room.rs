//! Vectors that have the whole of their block as room.  A vector with less would leave the rest of the block unused, and one that
//! is shrunk in place keeps its block.

use crate::allocator::block_size;

/// Bytes of a vector's block.
pub(in crate::store) fn block_of<T>(vector: &Vec<T>) -> usize {
    block_size(vector.capacity() * size_of::<T>())
}

/// Makes room for further elements.
#[inline]
pub(in crate::store) fn reserve<T>(vector: &mut Vec<T>, added: usize) {
    let needed = vector.len() + added;
    if needed > vector.capacity() {
        vector.reserve_exact(block_size(needed * size_of::<T>()) / size_of::<T>() - vector.len());
    }
}

/// Gives memory back once half of it is unused.
#[inline]
pub(in crate::store) fn give_back<T: Copy>(vector: &mut Vec<T>) {
    if 2 * block_size(size_of_val(vector.as_slice())) <= vector.capacity() * size_of::<T>() {
        *vector = copied(vector);
    }
}

/// A copy of these elements.
pub(in crate::store) fn copied<T: Copy>(elements: &[T]) -> Vec<T> {
    let mut copy = Vec::new();
    reserve(&mut copy, elements.len());
    copy.extend_from_slice(elements);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_its_block_as_room_and_gives_half_of_it_back() {
        let mut vector: Vec<u16> = Vec::new();
        for length in 1..=300_usize {
            reserve(&mut vector, 1);
            vector.push(length as u16);
            assert_eq!(block_of(&vector), block_size(2 * length));
            assert!(vector.capacity() * 2 + 2 > block_of(&vector));
        }
        while vector.pop().is_some() {
            give_back(&mut vector);
            assert!(vector.capacity() * 2 < 2 * block_size(2 * vector.len()).max(1));
        }
        assert_eq!(vector.capacity(), 0);
    }
}
