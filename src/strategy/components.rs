//! Which rows of a batch must not be visited at the same time? Rows that share a feature, and rows that share one with those:
//! the components of the batch's conflict graph, found by union-find (Tarjan, JACM 22, 1975) without building the graph.

/// Finds components. Its table is as long as there are features, and is kept from batch to batch.
#[derive(Debug)]
pub struct Components {
    /// Of each feature the last row seen that has it. The rows of a batch are numbered on from those of the last one, so that
    /// what is left of earlier batches is known by its being lower than `first`, and nothing need be cleared.
    last: Vec<u32>,
    first: u32,
    /// An earlier row of the same component, or the row itself.
    parents: Vec<u32>,
}

impl Components {
    /// For rows over so many features.
    pub fn new(n_features: usize) -> Self {
        Self { last: vec![0; n_features], first: 1, parents: Vec::new() }
    }

    /// Takes the features of each row of a batch, and returns for each row the first one of its component.
    pub fn find<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [u32]>) -> &[u32] {
        let n = rows.len() as u32;
        if self.first.checked_add(n).is_none() {
            self.last.fill(0);
            self.first = 1;
        }
        self.parents.clear();
        for (i, features) in (0..n).zip(rows) {
            self.parents.push(i);
            let mut root = i;
            for &j in features {
                let seen = std::mem::replace(&mut self.last[j as usize], self.first + i);
                if seen >= self.first {
                    root = self.join(root, seen - self.first);
                }
            }
        }
        self.first += n;
        // A parent is never later than its child: one pass from the front leads every row to its root.
        for i in 0..n as usize {
            self.parents[i] = self.parents[self.parents[i] as usize];
        }
        &self.parents
    }

    /// Joins the component whose root this is with that of a row; returns the root of both.
    fn join(&mut self, root: u32, row: u32) -> u32 {
        let other = self.root(row);
        let (first, later) = (root.min(other), root.max(other));
        self.parents[later as usize] = first;
        first
    }

    /// Halves the path on its way.
    fn root(&mut self, mut row: u32) -> u32 {
        loop {
            let parent = self.parents[row as usize];
            if parent == row {
                return row;
            }
            let above = self.parents[parent as usize];
            self.parents[row as usize] = above;
            row = above;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow and plain: from each row not yet reached, breadth first over rows that share a feature.
    fn reference(rows: &[Vec<u32>]) -> Vec<u32> {
        let mut roots = vec![u32::MAX; rows.len()];
        for start in 0..rows.len() {
            let mut reached = if roots[start] == u32::MAX { vec![start] } else { Vec::new() };
            while let Some(i) = reached.pop() {
                roots[i] = start as u32;
                let meets = |k: &usize| roots[*k] == u32::MAX && rows[i].iter().any(|j| rows[*k].contains(j));
                reached.extend((0..rows.len()).filter(meets));
            }
        }
        roots
    }

    #[test]
    fn components_are_those_of_a_breadth_first_search() {
        let mut state = 1u64;
        let mut below = |end: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % end
        };
        let mut components = Components::new(200);
        let mut sizes = [0; 3];
        for round in 0..400 {
            let d = [3, 20, 200][round % 3];
            let rows: Vec<Vec<u32>> = (0..below(60)).map(|_| (0..below(4)).map(|_| below(d) as u32).collect()).collect();
            if round == 300 {
                components.first = u32::MAX - 5; // the numbers run out, and begin again
            }
            let found = components.find(rows.iter().map(Vec::as_slice)).to_vec();
            assert_eq!(found, reference(&rows), "round {round}");
            sizes[round % 3] += found.iter().zip(0..).filter(|&(&root, i)| root == i).count();
        }
        assert!(sizes[0] > 100 && sizes[0] < sizes[1] && sizes[1] < sizes[2], "the rounds are too much alike: {sizes:?}");
    }

    #[test]
    fn a_row_made_by_hand_joins_what_was_apart() {
        let mut components = Components::new(5);
        let rows: [&[u32]; 6] = [&[0, 1], &[2], &[], &[3, 4], &[1, 2], &[4]];
        assert_eq!(components.find(rows.into_iter()), [0, 0, 2, 3, 0, 3]);
        assert_eq!(components.find([&[1][..], &[2]].into_iter()), [0, 1], "earlier batches are forgotten");
    }
}
