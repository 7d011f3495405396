"""Dictionary learning as an estimator, with the contract of scikit-learn."""
