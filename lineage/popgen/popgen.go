// Package popgen holds what population genetics, epidemiology and cultural
// evolution say about behaviours that are copied from one generation of models
// to the next: closed forms, estimators and tests.
//
//   - Intervals and tests: Wilson, ClopperPearson, RuleOfThree, TInterval,
//     Paired, SignFlip, Fisher, BenjaminiHochberg, MannKendall, KolmogorovSmirnov.
//   - Detectors that err: Detection, RoganGladen and AdjustedRoganGladen for one
//     sample, CorrectedMean and CorrectedDifference over replicates; with labels
//     of the same texts PredictionPowered, LabelledMean, LabelledDifference; AUC.
//   - Answers that resemble each other: ClusterRobust, Bootstrap; raters: Alpha,
//     Repeats.
//   - Copying without selection: Heterozygosity and its accumulating variants,
//     Anchored, Drift over any graph of demes.
//   - Selection and loss: Temper, BestOf, Chain, Kimura, Survival, Extinction.
//   - Estimators: LogitSlope, FitDecay, Reproduction, HalfLife.
//
// Populations are haploid: N is the number of documents that a generation is
// drawn from and p the share of them that carry the behaviour (carriers). Arms
// of an experiment share seeds, so replicates are paired; the replicate is the
// unit of inference everywhere.
//
// Unless a comment says otherwise, an argument outside the stated domain gives
// NaN, and NaN gives NaN. The package imports nothing else of heirloom.
package popgen
