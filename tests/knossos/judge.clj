;; Judges exported histories (EDN files of one key each, see docs/testing.md) by Knossos, the checker that Jepsen uses.
;;
;;   java -cp CLASSPATH clojure.main tests/knossos/judge.clj FILE.edn...
;;
;; CLASSPATH names Clojure, Knossos and what that needs; `lein classpath` in a copy of Knossos prints it.
;; Exit status: 0 if each key has an order, else 1.
(require '[clojure.edn :as edn]
         '[clojure.java.io :as io]
         '[knossos.model :as model]
         '[knossos.wgl :as wgl])
(import 'knossos.model.Model)

;; What a key holds; nil if it is absent. Knossos leaves out what failed, and shows a model the value alone, so conditions
;; on versions are taken to have held.
(defrecord Key [held]
  Model
  (step [this op]
    (let [f (:f op)
          value (:value op)
          refuse #(model/inconsistent (str "it holds " (pr-str held) ", and " f " was told " (pr-str value)))]
      (case f
        :read (if (= held value) this (refuse))
        :write (Key. value)
        :write-if-absent (if (nil? held) (Key. value) this)
        (:write-if-present :write-if-version) (if (some? held) (Key. value) this)
        ;; The value is nil where the outcome is unknown.
        (:delete :delete-if-present :delete-if-version)
        (if (or (nil? value) (= value (some? held))) (Key. nil) (refuse))
        :delete-if-absent this
        :add (let [[by told] (if (vector? value) value [value nil])
                   sum (+ (or held 0) by)]
               (if (or (nil? told) (= told sum)) (Key. sum) (refuse)))))))

(defn events [path]
  (with-open [reader (java.io.PushbackReader. (io/reader path))]
    (vec (take-while some? (repeatedly #(edn/read {:eof nil} reader))))))

(let [valid? (fn [path]
               (let [{:keys [valid? op]} (wgl/analysis (Key. nil) (events path))]
                 (when-not (true? valid?) (println (str path ": NOT linearizable, at") op))
                 (true? valid?)))
      wrong (count (remove valid? *command-line-args*))]
  (println "Knossos:" (count *command-line-args*) "histories," wrong "not linearizable")
  (shutdown-agents)
  (System/exit (if (zero? wrong) 0 1)))
