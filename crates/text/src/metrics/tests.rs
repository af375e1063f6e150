use proptest::prelude::*;

use super::{Bleu, BleuTokenizer, Chrf, Metric, MetricError, Normalization, Rouge, RougeKind, Ter, statistics};

fn bleu(tokenize: BleuTokenizer) -> Metric {
    Metric::Bleu(Bleu { tokenize, lowercase: false, max_ngram_order: 4 })
}

fn all() -> Vec<Metric> {
    let normalization = Normalization { normalized: true, no_punct: false, asian_support: true, case_sensitive: false };
    let types = vec![RougeKind::Ngrams(2), RougeKind::Longest, RougeKind::LongestBySentence];
    vec![
        bleu(BleuTokenizer::V13a),
        Metric::Chrf(Chrf {
            char_order: 6,
            word_order: 2,
            beta: 2.0,
            lowercase: false,
            whitespace: false,
            eps_smoothing: false,
        }),
        Metric::Ter(Ter { normalization }),
        Metric::Rouge(Rouge { types, use_stemmer: true, tokenizer: super::RougeTokenizer::Chinese }),
    ]
}

/// The tables of one system.
fn single<T: AsRef<str> + Sync>(
    metrics: &[Metric],
    hypotheses: &[T],
    references: &[T],
    counts: &[u32],
    run: crate::Run<'_>,
) -> super::Result<Vec<Vec<f64>>> {
    let tables = statistics(metrics, &[hypotheses], references, counts, run, &|| false)?;
    Ok(tables.into_iter().flatten().collect())
}

fn serial(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..pieces).for_each(work);
}

fn threaded(pieces: usize, work: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        (0..pieces).rev().for_each(|piece| {
            scope.spawn(move || work(piece));
        });
    });
}

fn texts(count: usize) -> (Vec<String>, Vec<String>, Vec<u32>) {
    let words = ["the", "dog.", "bit", "我们", "3.14", "(a)", "", "\u{3000}", "running"];
    let text = |seed: usize| {
        let chosen: Vec<_> = (0..seed % 23).map(|index| words[(seed * 7 + index * index) % words.len()]).collect();
        chosen.join(" ")
    };
    let hypotheses = (0..count).map(|index| text(index * 3)).collect();
    let counts: Vec<u32> = (0..count).map(|index| 1 + (index % 3) as u32).collect();
    let references = (0..counts.iter().sum::<u32>() as usize).map(|index| text(index * 5 + 1)).collect();
    (hypotheses, references, counts)
}

#[test]
fn threads_change_nothing() {
    let (hypotheses, references, counts) = texts(500);
    let metrics = all();
    let expected = single(&metrics, &hypotheses, &references, &counts, &serial).unwrap();
    for (metric, rows) in metrics.iter().zip(&expected) {
        assert_eq!(rows.len(), 500 * metric.width());
        assert!(rows.iter().all(|value| value.is_finite() && *value >= 0.0));
        assert!(rows.iter().any(|value| *value > 0.0));
    }
    assert_eq!(single(&metrics, &hypotheses, &references, &counts, &threaded), Ok(expected));
}

#[test]
fn systems_together_have_what_each_has_alone() {
    let (hypotheses, references, counts) = texts(300);
    let metrics = all();
    let other: Vec<String> = hypotheses.iter().rev().cloned().collect();
    let third = vec![String::new(); hypotheses.len()];
    let systems: [&[String]; 3] = [&hypotheses, &other, &third];
    let together = statistics(&metrics, &systems, &references, &counts, &threaded, &|| false).unwrap();
    for (number, system) in systems.iter().enumerate() {
        let alone = single(&metrics, system, &references, &counts, &serial).unwrap();
        let own: Vec<Vec<f64>> = together.iter().map(|tables| tables[number].clone()).collect();
        assert_eq!(own, alone);
    }
    let short = statistics(&metrics, &[&hypotheses, &other[1..]], &references, &counts, &serial, &|| false);
    assert!(matches!(short, Err(MetricError::Counts { hypotheses: 299, segments: 300, .. })));
}

#[test]
fn counts_are_those_of_the_paper() {
    // Papineni et al., example 2: seven times "the" against two references.
    let references = ["The cat is on the mat.", "There is a cat on the mat."];
    let hypothesis = ["the the the the the the the"];
    let metric = Metric::Bleu(Bleu { tokenize: BleuTokenizer::None, lowercase: true, max_ngram_order: 2 });
    let rows = single(&[metric], &hypothesis, &references, &[2], &serial).unwrap();
    assert_eq!(rows, [[7.0, 7.0, 2.0, 0.0, 7.0, 6.0]]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let none: [&str; 0] = [];
    let run = |hypotheses: &[&str], references: &[&str], counts: &[u32]| {
        single(&all(), hypotheses, references, counts, &serial)
    };
    assert_eq!(run(&none, &none, &[]).map(|rows| rows.concat().len()), Ok(0));
    assert_eq!(run(&["a", "b"], &["a"], &[1, 0]), Err(MetricError::NoReference { segment: 1 }));
    assert!(matches!(run(&["a", "b"], &["a"], &[1]), Err(MetricError::Counts { .. })));
    assert!(matches!(run(&["a"], &["a", "b"], &[1]), Err(MetricError::Counts { .. })));
    let long = Metric::Bleu(Bleu { tokenize: BleuTokenizer::None, lowercase: true, max_ngram_order: 65 });
    let refused = single(&[long], &["a"], &["a"], &[1], &serial);
    assert!(matches!(refused, Err(MetricError::Option(_))));
    let stopped = statistics(&all(), &[&["a"]], &["a"], &[1], &serial, &|| true);
    assert_eq!(stopped, Err(MetricError::Cancelled));
}

proptest! {
    #[test]
    fn any_text_has_all_in_common_with_itself(texts in prop::collection::vec(any::<String>(), 1..4)) {
        let tokenizers = [
            BleuTokenizer::V13a,
            BleuTokenizer::Chinese,
            BleuTokenizer::International,
            BleuTokenizer::Character,
            BleuTokenizer::None,
        ];
        let mut metrics: Vec<Metric> = tokenizers.into_iter().map(bleu).collect();
        metrics.extend(all());
        let counts = vec![1; texts.len()];
        let tables = single(&metrics, &texts, &texts, &counts, &serial).unwrap();
        for (metric, rows) in metrics.iter().zip(tables) {
            for row in rows.chunks_exact(metric.width()) {
                prop_assert!(row.iter().all(|value| value.is_finite()));
                match metric {
                    Metric::Bleu(_) => {
                        prop_assert_eq!(row[0], row[1]);
                        prop_assert_eq!(&row[2..6], &row[6..]);
                    }
                    Metric::Chrf(_) => {
                        prop_assert!(row.chunks_exact(3).all(|order| order[0] == order[1] && order[1] == order[2]));
                    }
                    // References are prepared twice, so that there may be edits, but not more than words.
                    Metric::Ter(_) => prop_assert!(row[0] <= 2.0 * row[1] + 2.0),
                    Metric::Rouge(_) => prop_assert!(row.iter().all(|&value| value == 0.0 || value == 1.0)),
                }
            }
        }
    }
}
