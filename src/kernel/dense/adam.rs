//! The numbers of a step of Adam: nothing of burn's.

/// The numbers in one step of [Adam](https://arxiv.org/abs/1412.6980), with weight decay of either
/// kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// What is added to the gradient of each weight's value.
    pub coupled_decay: f64,
    /// What is left of each weight before its step.
    pub keep: f64,
    /// Of the first moment and of the gradient, in the new first moment: together they are 1.
    pub first: [f64; 2],
    /// Of the second moment and of the squared gradient, in the new second moment: together they are 1.
    pub second: [f64; 2],
    /// What the first moment is multiplied by: the learning rate and a correction.
    pub rate: f64,
    /// What the second moment is multiplied by before the root.
    pub correction: f64,
    /// What is added to the root.
    pub epsilon: f64,
}
