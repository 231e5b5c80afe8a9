# films and their viewers: ratings by factors and biases, with a penalty on the factors
import numpy as np

LAMBDA = 0.3


def predict(users, films, P, Q, bu, bf, mu):
    return np.sum(P[users] * Q[films], axis=1) + bu[users] + bf[films] + mu


def cost(users, films, ratings, P, Q, bu, bf, mu):
    err = predict(users, films, P, Q, bu, bf, mu) - ratings
    squares = 0.5 * np.mean(err ** 2)
    penalty = 0.5 * LAMBDA * (np.sum(P ** 2) + np.sum(Q ** 2)) + 0.5 * LAMBDA * np.sum(bf ** 2)
    return squares + penalty, (users, films, err, P, Q, bu, bf)


def cost_gradient(state):
    users, films, err, P, Q, bu, bf = state
    k = err.size
    e = err / k
    gP = LAMBDA * P
    gQ = LAMBDA * Q
    gbu = np.zeros_like(bu)
    gbf = LAMBDA * bf
    for n in range(k):
        u, m = users[n], films[n]
        gP[u] += e[n] * Q[m]
        gQ[m] += e[n] * P[u]
        gbu[u] += e[n]
        gbf[m] += e[n]
    gmu = e.sum(keepdims=True)
    return {"ratings": -e, "P": gP, "Q": gQ, "bu": gbu, "bf": gbf, "mu": gmu}
