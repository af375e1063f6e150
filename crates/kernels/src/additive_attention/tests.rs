use super::{AdditiveGradients, AdditiveInputs, AdditiveSizes, backward, forward, reference::reference};
use crate::{
    Destination,
    testing::{Random, assert_close, bits, contexts},
};

#[test]
fn scores_and_all_gradients_equal_the_reference() {
    let mut random = Random::new(71);
    let mut shapes = vec![[0, 2, 3, 4], [2, 0, 3, 4], [2, 3, 0, 4], [1, 1, 1, 1], [3, 1, 7, 16], [2, 5, 3, 100]];
    shapes
        .extend((0..6).map(|_| [1 + random.below(4), 1 + random.below(9), 1 + random.below(9), 1 + random.below(40)]));
    for [batch, queries, keys, width] in shapes {
        let sizes = AdditiveSizes { batch, queries, keys, width };
        let (query, key) = (random.floats(batch * queries * width), random.floats(batch * keys * width));
        let factors = random.floats(width);
        let mask: Vec<u8> = (0..batch * keys).map(|_| u8::from(random.below(4) > 0) * 3).collect();
        for (with_factors, masked) in [(true, true), (false, true), (true, false), (false, false)] {
            let mut dscores = random.floats(batch * queries * keys);
            for (at, slope) in dscores.iter_mut().enumerate() {
                if masked && mask[at / (queries * keys) * keys + at % keys] == 0 {
                    *slope = 0.0;
                }
            }
            let inputs = AdditiveInputs {
                query: &query,
                key: &key,
                factors: with_factors.then_some(&factors),
                key_mask: masked.then_some(&mask),
            };
            let exact = reference(sizes, &inputs, &dscores);
            let mut last: Option<(crate::simd::Simd, Vec<Vec<u32>>)> = None;
            for context in contexts() {
                let what = format!("{sizes:?}, factors {with_factors}, masked {masked}, {:?}", context.simd);
                let mut scores = vec![f32::NAN; dscores.len()];
                forward(&context, sizes, &inputs, &mut scores);
                assert_close(&scores, &exact.scores, &what);
                let mut found = [query.len(), key.len(), width].map(|length| vec![f32::NAN; length]);
                let mut added = [query.len(), key.len(), width].map(|length| vec![1.0; length]);
                for (to, accumulate) in [(&mut found, false), (&mut added, true)] {
                    let [query, key, factors] = to;
                    let gradients = AdditiveGradients {
                        query: Some(Destination { data: query, accumulate }),
                        key: Some(Destination { data: key, accumulate }),
                        factors: Some(Destination { data: factors, accumulate }),
                    };
                    backward(&context, sizes, &inputs, &dscores, gradients);
                }
                for (found, exact) in found.iter().zip([&exact.query, &exact.key, &exact.factors]) {
                    assert_close(found, exact, &what);
                }
                for (found, added) in found.iter().flatten().zip(added.iter().flatten()) {
                    assert!((found + 1.0 - added).abs() < 1e-4, "{what}: {added} is not {found} and 1");
                }
                backward(&context, sizes, &inputs, &dscores, AdditiveGradients::default());
                let [query, key, factors] = &found;
                let found = vec![bits(&scores), bits(query), bits(key), bits(factors)];
                if let Some((simd, last)) = &last
                    && *simd == context.simd
                {
                    assert_eq!(*last, found, "{what}: bits depend on the threads");
                }
                last = Some((context.simd, found));
            }
        }
    }
}

#[test]
#[should_panic(expected = "key is not [B, S, D]")]
fn lengths_that_do_not_fit_are_refused() {
    let inputs = AdditiveInputs { query: &[0.0; 2], key: &[0.0; 3], factors: None, key_mask: None };
    let sizes = AdditiveSizes { batch: 1, queries: 1, keys: 1, width: 2 };
    forward(&contexts()[0], sizes, &inputs, &mut [0.0]);
}
